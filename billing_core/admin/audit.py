"""The audit: who changed which field of a definition, when, through what, from what to what."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from billing_core.admin import bulk
from billing_core.admin.difference import Diff
from billing_core.admin.output import readable
from billing_core.storage import tables


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes definitions, and through what."""

    who: str
    through: str


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
    connection: Connection, diff: Diff, author: Author, now: datetime, owners: Owners = _NOBODY
) -> None:
    """Record every change of *diff*, whose version it bears; a secret is masked there already."""
    changes: list[tuple[object, ...]] = []
    for change in diff.changes:
        object_id, client_id = owners.get((change.kind, change.name, change.place), (None, None))
        values = change.field, audited(change.before), audited(change.after)
        changes.append((change.kind, change.name, *values, change.object_id or object_id, client_id))
    changes += [
        (
            "rate_table",
            rates.table,
            "rates",
            None,
            f"{rates.new} new, {rates.changed} changed, {rates.ended} ended",
            None,
            None,
        )
        for rates in diff.rates
        if rates
    ]
    columns = ("object_kind", "object_name", "field", "before", "after", "object_id", "client_id")
    author_columns = {"at": now, "who": author.who, "through": author.through, "version": diff.version}
    rows = [author_columns | dict(zip(columns, change, strict=True)) for change in changes]
    bulk.insert(connection, tables.audit, rows)


def audited(value: object) -> str | None:
    """Return how the audit writes a value."""
    return None if value is None else readable(value)
