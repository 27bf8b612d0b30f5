"""Records as CSV (RFC 4180) that a spreadsheet opens without running what a stranger put in it."""

import csv
import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from billing_core.admin.command_line.arguments import STDOUT
from billing_core.admin.output import CommandError, Output, Record, readable

# A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_csv(path: Path, records: Iterable[Record], columns: Iterable[str], output: Output) -> None:
    """Write *records* to *path*, or to stdout; a file is written whole or not at all.

    Half a list would be taken for a whole one. Pipes and devices are written to.
    Raises CommandError.
    """
    if output.is_json:
        raise CommandError("--csv and --json exclude each other: choose one")
    if path == STDOUT:
        write_csv(sys.stdout, records, columns)
        return
    try:
        # Put in its place, a file would take that of /dev/stdout for the whole machine.
        write = _write_whole if path.is_file() or not path.exists() else _write_to
        count = write(path, records, columns)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from error
    output.say(f"{path}: {count} records")


def _write_whole(path: Path, records: Iterable[Record], columns: Iterable[str]) -> int:
    """Write a file beside *path*, and put it there when it is whole; a link goes on naming its file."""
    target = path.resolve()
    part = target.with_name(f"{target.name}.part")
    try:
        count = _write_to(part, records, columns)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return count


def _write_to(path: Path, records: Iterable[Record], columns: Iterable[str]) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        return write_csv(file, records, columns)


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
