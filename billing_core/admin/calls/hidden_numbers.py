"""Hidden numbers: the end of what was called is masked in lists and exports for clients who want that.

The database keeps the whole number, and what looks into single calls tells it: explaining, rating again.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from billing_core.admin.output import Record

HIDDEN_DIGITS = 4
"""How many characters at the end of a number nobody sees; a number that is no longer is masked wholly."""

FLAG = "hidden_numbers"
"""The key of a record, as the column of table `client`, that says whether its numbers are hidden."""

_MASK = "*"


def masked(number: str) -> str:
    """Return *number* with its end masked."""
    return number[:-HIDDEN_DIGITS] + _MASK * min(HIDDEN_DIGITS, len(number))


def hidden(records: Iterable[dict[str, Any]], *, are_shown: bool = False) -> Iterator[Record]:
    """Yield *records* without their flag, and with masked numbers where it is set and not *are_shown*."""
    for record in records:
        is_hidden = record.pop(FLAG)
        if is_hidden and not are_shown and record["called"]:
            _mask(record)
        yield record


def _mask(record: dict[str, Any]) -> None:
    """Mask what was called, and of its code what would tell more."""
    called: str = record["called"]
    record["called"] = masked(called)
    if code := record.get("code"):
        seen = max(len(called) - HIDDEN_DIGITS, 0)
        record["code"] = code[:seen] + _MASK * len(code[seen:])
