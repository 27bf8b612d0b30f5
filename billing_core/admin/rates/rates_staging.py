"""A rates file, brought into temporary tables by COPY: none of it stays in this program's memory."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from sqlalchemy import Connection, select, text

from billing_core.admin import bulk
from billing_core.rates_file import RateRow, RatesReader, twice
from billing_core.storage import tables

_ROWS_PER_PIECE = 500
_TWICE_MAX = 100
_NULL = "\\N"

_TABLES = (
    """CREATE TEMPORARY TABLE IF NOT EXISTS rate_staged (
        batch bigint NOT NULL, line bigint NOT NULL, code text NOT NULL, price_per_minute numeric NOT NULL,
        destination text NOT NULL, setup_fee numeric NOT NULL, min_volume_seconds integer NOT NULL,
        interval_seconds integer NOT NULL, grace_seconds integer NOT NULL, effective_from timestamptz,
        end_date timestamptz, time_profile text NOT NULL, number_length_min smallint NOT NULL,
        number_length_max smallint NOT NULL, blocked boolean NOT NULL)""",
    """CREATE TEMPORARY TABLE IF NOT EXISTS rate_planned (
        batch bigint NOT NULL, line bigint, old_id bigint, ends boolean NOT NULL, effective_from timestamptz,
        price_before numeric)""",
)
_COLUMNS = ("batch", *RateRow._fields)

_TWICE = """
    SELECT line, code, time_profile, first_line, count(*) OVER () FROM (
        SELECT line, code, time_profile,
            min(line) OVER (PARTITION BY code, time_profile, effective_from) AS first_line
        FROM rate_staged WHERE batch = :batch) AS found
    WHERE line <> first_line ORDER BY line LIMIT :most"""

_batches = count(1)


@dataclass(frozen=True, slots=True)
class Staged:
    """A file whose rates this connection has at hand, as those of one `batch`."""

    batch: int
    file: Path


def stage(
    connection: Connection,
    file: Path,
    time_profiles: Collection[str],
    *,
    sheet: str | None = None,
    progress: Callable[[float], None] = lambda part: None,
) -> Staged:
    """Bring the rates of a file into the database, for this connection alone.

    *time_profiles* are the names that exist; *progress* is told now and then which part has been read.
    Raises SettingsError with every fault of the file.
    """
    reader = RatesReader(file, sheet=sheet, time_profiles=time_profiles, progress=progress)
    batch = next(_batches)
    for statement in _TABLES:
        connection.execute(text(statement))
    bulk.copy(connection, "rate_staged", _COLUMNS, _pieces(batch, reader.rows()))
    prepare_for_many(connection)
    connection.execute(text("ANALYZE rate_staged"))
    found = connection.execute(text(_TWICE), {"batch": batch, "most": _TWICE_MAX}).all()
    for line, code, time_profile, first_line, _ in found:
        reader.fault(line, "code", twice(code, time_profile, first_line))
    reader.more += found[0][-1] - len(found) if found else 0
    reader.check()
    return Staged(batch, file)


def prepare_for_many(connection: Connection) -> None:
    """Let the statements of this transaction sort and hash a million rates in memory."""
    connection.execute(text("SET LOCAL work_mem = '64MB'"))


def _pieces(batch: int, rows: Iterator[RateRow]) -> Iterator[bytes]:
    """Yield the rows in COPY's text format, many at once."""
    while piece := "".join(map(_staged_line(batch), islice(rows, _ROWS_PER_PIECE))):
        yield piece.encode()


def _staged_line(batch: int) -> Callable[[RateRow], str]:
    """Return what writes a row for COPY: written out, since it happens a million times."""

    def line(row: RateRow) -> str:
        number, code, price, destination, fee, minimum, interval, grace, begin, end, profile, *rest = row
        if "\\" in destination:
            destination = destination.replace("\\", "\\\\")
        profile = profile.replace("\\", "\\\\") if profile else ""
        shortest, longest, blocked = rest
        return (
            f"{batch}\t{number}\t{code}\t{price}\t{destination}\t{fee}\t{minimum}\t{interval}\t{grace}\t"
            f"{begin or _NULL}\t{end or _NULL}\t{profile}\t{shortest}\t{longest}\t{blocked}\n"
        )

    return line


def time_profiles(connection: Connection) -> set[str]:
    """Return the names of all time profiles."""
    return set(connection.execute(select(tables.time_profile.c.name)).scalars())
