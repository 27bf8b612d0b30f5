"""Many rows at once: PostgreSQL's COPY takes 100,000 of them in about a second."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from io import RawIOBase
from itertools import chain
from typing import Any

import psycopg2
from sqlalchemy import Column, Connection, MetaData, Table
from sqlalchemy import update as update_statement

from billing_core.storage.rows import array_literal

Row = Mapping[str, Any]

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

# COPY's text format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
_FIELDS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "\\N",
    bool: lambda value: "t" if value else "f",
    int: str,
    Decimal: str,
    datetime: datetime.isoformat,
    list: lambda value: array_literal(value).translate(_ESCAPES),
    dict: lambda value: json.dumps(value).translate(_ESCAPES),
}


class _Stream(RawIOBase):
    """Rows as a file that COPY reads, a line at a time."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.failed: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return some lines of about *size* octets; nothing at the end."""
        parts: list[bytes] = []
        try:
            while size > 0 and (line := next(self._lines, b"")):
                parts.append(line)
                size -= len(line)
        except Exception as error:
            self.failed = error
            raise
        return b"".join(parts)


def _field(value: object) -> str:
    if type(value) is str and value.isprintable() and "\\" not in value:
        return value
    write = _FIELDS.get(type(value))
    return write(value) if write else str(value).translate(_ESCAPES)


def _line(values: Iterable[object]) -> bytes:
    return ("\t".join([_field(value) for value in values]) + "\n").encode()


def insert(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert *rows*, which all have the same keys: names of columns."""
    first, rows = _first_of(rows)
    if first is not None:
        columns = list(first)
        insert_values(connection, table, columns, ([row[column] for column in columns] for row in rows))


def insert_values(
    connection: Connection, table: Table, columns: Iterable[str], rows: Iterable[Iterable[object]]
) -> None:
    """Insert *rows* of values in the order of *columns*; however many, they are not held in memory."""
    copy(connection, table.name, columns, map(_line, rows))


def _first_of(rows: Iterable[Row]) -> tuple[Row | None, Iterator[Row]]:
    """Return the first row, if there is one, and all of them."""
    rest = iter(rows)
    first = next(rest, None)
    return first, rest if first is None else chain([first], rest)


def copy(connection: Connection, table: str, columns: Iterable[str], lines: Iterator[bytes]) -> None:
    """Give *lines*, one or more at a time in COPY's text format, to a table."""
    driver: Any = connection.connection.driver_connection
    stream = _Stream(lines)
    with driver.cursor() as cursor:
        try:
            cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", stream)
        except psycopg2.Error:
            # The driver tells what the lines failed of as if it were the database's fault.
            if stream.failed is not None:
                raise stream.failed from None
            raise


def update(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Set in the rows with these ids the other columns that *rows* name; all have the same keys."""
    first, rows = _first_of(rows)
    if first is None:
        return
    columns = [Column(name, table.c[name].type) for name in first]
    new = Table(
        f"new_{table.name}", MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP"
    )
    new.create(connection)
    insert(connection, new, rows)
    setting = {name: new.c[name] for name in first if name != "id"}
    connection.execute(update_statement(table).values(setting).where(table.c.id == new.c.id))
    new.drop(connection)


def new_ids(connection: Connection, table: Table, count: int) -> Iterator[int]:
    """Take *count* ids for rows that are going to be inserted."""
    statement = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
    return iter([row[0] for row in connection.exec_driver_sql(statement, (table.name, count))])
