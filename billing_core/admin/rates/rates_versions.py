"""The versions of a rate table: a list of its imports, and the way back to an earlier one.

A version is a row of `rate_import`. The rates of version N are those since N or earlier that are not
out of use until N or earlier, so nothing that an import did is ever forgotten. Going back is a
version, too: it takes out what came later, and puts back what was there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, text

from billing_core.admin.definitions.audit import Author
from billing_core.admin.definitions.difference import RatesChange
from billing_core.admin.output import CommandError, Record
from billing_core.rates_file import RateRow
from billing_core.storage import tables

ROLLBACK = "rollback"
HISTORY_COLUMNS = (
    "version",
    "at",
    "who",
    "mode",
    "file",
    "new",
    "changed",
    "ended",
    "unchanged",
    "undone_by",
)


def new_version(
    connection: Connection,
    table_id: int,
    now: datetime,
    author: Author,
    file: str,
    mode: str,
    change: RatesChange,
) -> int:
    """Note a new version of a rate table, and return its id."""
    row = {
        "rate_table_id": table_id,
        "at": now,
        "who": author.who,
        "through": author.through,
        "file": file,
        "mode": str(mode),
        "added": change.new,
        "changed": change.changed,
        "ended": change.ended,
        "unchanged": change.unchanged,
    }
    noted = tables.rate_import.insert().values(row).returning(tables.rate_import.c.id)
    return int(connection.execute(noted).scalar_one())


def history(connection: Connection, table_id: int, limit: int | None) -> Iterator[Record]:
    """Yield the versions of a rate table, the newest first."""
    found = tables.rate_import
    statement = (
        select(found).where(found.c.rate_table_id == table_id).order_by(found.c.id.desc()).limit(limit)
    )
    for row in connection.execute(statement):
        yield {
            "version": row.id,
            "at": row.at,
            "who": row.who,
            "through": row.through,
            "mode": row.mode,
            "file": row.file,
            "new": row.added,
            "changed": row.changed,
            "ended": row.ended,
            "unchanged": row.unchanged,
            "undone_by": row.undone_by,
        }


# --- going back -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rollback:
    """The way back to how a rate table was after the version `to`; 0 is before the first."""

    to: int
    change: RatesChange


_COLUMNS = ", ".join(RateRow._fields[1:])
_SERIES = "code, coalesce(time_profile, '')"
_IN_FORCE = "rate_table_id = :table AND until_import IS NULL"
_CAME = f"{_IN_FORCE} AND since_import > :to"
_WENT = "rate_table_id = :table AND coalesce(since_import, 0) <= :to AND until_import > :to"

_COUNTS = f"""
    WITH came AS (SELECT {_SERIES} FROM rate WHERE {_CAME}),
        went AS (SELECT {_SERIES} FROM rate WHERE {_WENT})
    SELECT (SELECT count(*) FROM (TABLE went EXCEPT TABLE came) AS only_went),
        (SELECT count(*) FROM (TABLE went INTERSECT TABLE came) AS went_and_came),
        (SELECT count(*) FROM (TABLE came EXCEPT TABLE went) AS only_came),
        (SELECT count(*) FROM rate WHERE {_IN_FORCE}) - (SELECT count(*) FROM came)"""  # noqa: S608
_TAKE_OUT = f"UPDATE rate SET until_import = :version WHERE {_CAME}"  # noqa: S608
_PUT_BACK = f"""
    INSERT INTO rate (rate_table_id, {_COLUMNS}, since_import)
    SELECT rate_table_id, {_COLUMNS}, :version FROM rate
    WHERE {_WENT} ORDER BY id"""  # noqa: S608
# What was undone before the version that is returned to had not been undone then.
_MARK = """
    UPDATE rate_import SET undone_by = CASE WHEN id > :to THEN :version END
    WHERE rate_table_id = :table AND id <> :version
        AND (id > :to AND undone_by IS NULL OR id <= :to AND undone_by > :to)"""


def way_back(connection: Connection, table_id: int, table: str, to: int | None) -> Rollback:
    """Return how to go back to version *to*, by default to before the newest one that is not undone.

    Raises CommandError when there is no such version, or nothing to undo.
    """
    versions = tables.rate_import
    statement = select(versions.c.id, versions.c.mode, versions.c.undone_by)
    rows = connection.execute(
        statement.where(versions.c.rate_table_id == table_id).order_by(versions.c.id)
    ).all()
    if to is None:
        newest = next((row.id for row in reversed(rows) if row.mode != ROLLBACK and not row.undone_by), None)
        if newest is None:
            raise CommandError(f'rate table "{table}" has no version that could be undone')
        to = max((row.id for row in rows if row.id < newest), default=0)
    elif to not in {0, *(row.id for row in rows)}:
        known = ", ".join(str(row.id) for row in rows[-20:]) or "none"
        raise CommandError(
            f'rate table "{table}" has no version {to}; its newest are: {known}; 0 is before the first'
        )
    counts = connection.execute(text(_COUNTS), {"table": table_id, "to": to}).one()
    return Rollback(to, RatesChange(table, *counts))


def go_back(connection: Connection, table_id: int, rollback: Rollback, author: Author, now: datetime) -> int:
    """Make the rates of a table those of an earlier version, as a new one, and return its id.

    The caller has locked the row of `catalogue`, and counts its version up.
    """
    file = f"version {rollback.to}"
    version = new_version(connection, table_id, now, author, file, ROLLBACK, rollback.change)
    values = {"table": table_id, "to": rollback.to, "version": version}
    for statement in (_TAKE_OUT, _PUT_BACK, _MARK):
        connection.execute(text(statement), values)
    return version
