"""The fixed balance: money in and out and what was invoiced, as opposed to what calls cost."""

from billing_core.ledger import FIXED_KINDS, STATED_KINDS


def _listed(kinds: tuple[str, ...]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)


FIXED_PART = f"CASE WHEN kind IN ({_listed(FIXED_KINDS)}) THEN amount ELSE COALESCE(fixed, 0) END"
"""What an entry adds to its client's fixed balance, in SQL, of the columns of table `entry`."""

MOVES_FIXED = f"kind IN ({_listed((*FIXED_KINDS, *STATED_KINDS))})"
"""Which entries can add anything to it, in SQL."""
