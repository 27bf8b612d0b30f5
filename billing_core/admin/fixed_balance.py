"""The fixed balance: money in and out and what was invoiced, as opposed to what calls cost."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, text

from billing_core.ledger import FIXED_KINDS, STATED_KINDS
from billing_core.storage.tables import entry


def _listed(kinds: tuple[str, ...]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)


FIXED_PART = f"CASE WHEN kind IN ({_listed(FIXED_KINDS)}) THEN amount ELSE COALESCE(fixed, 0) END"
"""What an entry adds to its client's fixed balance, in SQL, of the columns of table `entry`."""

MOVES_FIXED = f"kind IN ({_listed((*FIXED_KINDS, *STATED_KINDS))})"
"""Which entries can add anything to it, in SQL."""


def fixed_sums() -> Select[Any]:
    """Select the fixed balance of each client that has entries which move it."""
    fixed: ColumnElement[Any] = func.sum(literal_column(FIXED_PART))
    moving = select(entry.c.client_id, fixed.label("fixed")).where(text(MOVES_FIXED))
    return moving.group_by(entry.c.client_id)
