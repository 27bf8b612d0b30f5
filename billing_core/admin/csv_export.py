"""Records as CSV (RFC 4180) that a spreadsheet opens without running what a stranger put in it."""

import csv
from collections.abc import Iterable
from decimal import Decimal
from typing import TextIO

from billing_core.admin.output import Record, readable

# A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(file: TextIO, records: Iterable[Record], columns: Iterable[str]) -> int:
    """Write *columns* of *records* below a header, and return how many there are.

    *file* must not translate line ends. Only texts are guarded: a negative amount stays a number.
    """
    names = list(columns)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(names)
    count = 0
    for record in records:
        writer.writerow([cell(record[name]) for name in names])
        count += 1
    return count


def cell(value: object) -> str:
    """Return a value as it stands in a cell: what looks like a formula gets an apostrophe before it."""
    if isinstance(value, int | Decimal):
        return readable(value)
    # Line ends and tabs are written as they are, for a cell may hold them.
    text = value if isinstance(value, str) else readable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
