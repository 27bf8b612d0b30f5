"""The audit: who changed which field of a definition, when, through what, from what to what."""

import getpass
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


def operator() -> str:
    """Return the name of the user of this machine who gives the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def write_audit(connection: Connection, diff: Diff, author: Author, now: datetime) -> None:
    """Record every change of *diff*; a secret is masked there already."""
    changes = [
        (change.kind, change.name, change.field, _text(change.before), _text(change.after))
        for change in diff.changes
    ]
    changes += [
        (
            "rate_table",
            rates.table,
            "rates",
            None,
            f"{rates.new} new, {rates.changed} changed, {rates.ended} ended",
        )
        for rates in diff.rates
        if rates
    ]
    columns = ("object_kind", "object_name", "field", "before", "after")
    author_columns = {"at": now, "who": author.who, "through": author.through}
    rows = [author_columns | dict(zip(columns, change, strict=True)) for change in changes]
    bulk.insert(connection, tables.audit, rows)


def _text(value: object) -> str | None:
    return None if value is None else readable(value)
