"""The audit: who changed which field of a definition, when, through what, from what to what."""

import getpass
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from itertools import chain

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - the driver's class has a small letter
from sqlalchemy import Connection

from billing_core.admin import bulk
from billing_core.admin.definitions.difference import Diff
from billing_core.admin.output import readable
from billing_core.admin.steps import Progress, followed, no_progress
from billing_core.storage import tables


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes definitions, and through what."""

    who: str
    through: str


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A change that is none of definitions, and so has no version."""

    at: datetime
    who: str
    through: str
    object_kind: str
    object_name: str
    field: str
    before: str | None
    after: str | None
    client_id: int | None


Owners = Mapping[tuple[str, str, int | None], tuple[int | None, int | None]]
"""Of a kind, a name and a place, as a change has them: the id of the object, and that of its client."""


_NOBODY: Owners = {}


def operator() -> str:
    """Return the name of the user of this machine who gives the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def write_audit(
    connection: Connection,
    diff: Diff,
    author: Author,
    now: datetime,
    owners: Owners = _NOBODY,
    progress: Progress = no_progress,
) -> None:
    """Record every change of *diff*, whose version it bears; a secret is masked there already."""
    of_all = (now.isoformat(), author.who, author.through, diff.version)
    step = f"writing {len(diff.changes):,} changes"
    changes = chain(followed(_changed(diff, owners), len(diff.changes), step, progress), _changed_rates(diff))
    rows = ((*of_all, *values) for values in changes)
    bulk.insert_values(connection, tables.audit, _COLUMNS, rows)


def insert_audit(cursor: Cursor, audited: Iterable[AuditRow]) -> None:
    """Record changes in the transaction of *cursor*."""
    cursor.executemany(
        "INSERT INTO audit (at, who, through, object_kind, object_name, field, before, after, client_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [astuple(row) for row in audited],
    )


_COLUMNS = (
    *("at", "who", "through", "version"),
    *("object_kind", "object_name", "field", "before", "after", "object_id", "client_id"),
)


def _changed(diff: Diff, owners: Owners) -> Iterator[tuple[object, ...]]:
    for change in diff.changes:
        object_id, client_id = owners.get((change.kind, change.name, change.place), (None, None))
        values = change.field, audited(change.before), audited(change.after)
        yield change.kind, change.name, *values, change.object_id or object_id, client_id


def _changed_rates(diff: Diff) -> Iterator[tuple[object, ...]]:
    for rates in filter(None, diff.rates):
        told = f"{rates.new} new, {rates.changed} changed, {rates.ended} ended"
        yield "rate_table", rates.table, "rates", None, told, None, None


def audited(value: object) -> str | None:
    """Return how the audit writes a value."""
    return None if value is None else readable(value)
