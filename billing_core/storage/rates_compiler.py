"""Compiles large rate tables into files: a short-lived process, so that no turn waits and no worker grows.

A worker executes it as `python -m billing_core.storage.rates_compiler` and writes an order to its standard
input. It ends with 0 when every table of the order has its file, or has changed again meanwhile; else with 1
and the reason on standard error.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's classes have small letters
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from billing_core.compiled_rates import RateFields, compile_rates
from billing_core.ports import DataRefusedError, StorageDownError, TurnConflictError
from billing_core.rate_table import RATE_FIELDS
from billing_core.storage.connection import connect, translated

# Calls are more urgent than new prices.
_NICENESS = 10
_ROWS_AT_ONCE = 5000
# Whoever ordered tries again at once: so a failure takes its time.
_PAUSE_SECONDS = 5.0

_CHANGE = "SELECT changed_in FROM rate_table WHERE id = %s"

# By the index of rates that are no history: the first row comes at once, and nothing is sorted. What is known
# of a table that has just been filled is that it is empty, so the choice is not left to the database.
OPEN_RATES = f"""
    SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off;
    DECLARE rates NO SCROLL CURSOR FOR
    SELECT {", ".join(RATE_FIELDS)}
    FROM rate WHERE rate_table_id = %s AND until_import IS NULL ORDER BY code"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Order:
    """The database's URL, and the tables wanted: each by its id and the version it last changed in."""

    url: str
    directory: str
    tables: list[tuple[int, int]]


def main() -> int:
    """Obey the order on standard input."""
    os.nice(_NICENESS)
    order = Order(**json.load(sys.stdin))
    try:
        obey(order)
    except (StorageDownError, DataRefusedError, TurnConflictError, OSError, ValueError) as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        time.sleep(_PAUSE_SECONDS)
        return 1
    return 0


def obey(order: Order) -> None:
    """Write the files of *order*, one after the other; nobody else may write into its directory."""
    directory = Path(order.directory)
    for abandoned in directory.glob("*.partial"):
        abandoned.unlink()
    with closing(connect(order.url, application="radiusd rates")) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        for table_id, changed_in in order.tables:
            target = path_of(directory, table_id, changed_in)
            if not target.exists():
                _compile(connection, target, table_id, changed_in)


def path_of(directory: Path, table_id: int, changed_in: int) -> Path:
    """Return where the rates of a table are kept, as they are since it changed in that version."""
    return directory / f"{table_id}-{changed_in}.rates"


def fetched_rates(cursor: Cursor, rows_at_once: int) -> Iterator[RateFields]:
    """Yield what is left of the rates that `OPEN_RATES` opened, so many rows a round trip."""
    while True:
        cursor.execute(f"FETCH {rows_at_once} FROM rates")
        rows = cursor.fetchall()
        yield from rows
        if len(rows) < rows_at_once:
            return


def _compile(connection: Connection, target: Path, table_id: int, changed_in: int) -> None:
    """Write one file, at once whole; none when the table has changed again."""
    with translated():
        with connection, connection.cursor() as cursor:
            cursor.execute(_CHANGE, (table_id,))
            if cursor.fetchall() != [(changed_in,)]:
                return
            partial = target.with_suffix(".partial")
            cursor.execute(OPEN_RATES, (table_id,))
            with partial.open("w+b") as out:
                compile_rates(fetched_rates(cursor, _ROWS_AT_ONCE), out)
        partial.rename(target)


if __name__ == "__main__":
    sys.exit(main())
