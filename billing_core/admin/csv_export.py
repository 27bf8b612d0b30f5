"""Records as CSV (RFC 4180) that a spreadsheet opens without running what a stranger put in it."""

import csv
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from billing_core.admin.command_line.arguments import STDOUT
from billing_core.admin.output import CommandError, Output, Record, readable
from billing_core.visible import visible

# A spreadsheet takes a cell that begins with one of these for a formula, in full width, too. A cell may also
# begin in the middle of a text: at whatever separates cells there, which need not be a comma.
_FORMULA = re.compile(r"(?:^|(?<=[,;|\t\r\n\"]))(?=[ ']*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r])")
# A telephone number as people write it, which a spreadsheet takes for a number at worst.
_E164 = re.compile(r"\+[0-9]+")


def export_csv(path: Path, records: Iterable[Record], columns: Iterable[str], output: Output) -> None:
    """Write *records* to *path*, or to stdout; a file is written whole or not at all.

    Half a list would be taken for a whole one. Pipes and devices are written to.
    Raises CommandError.
    """
    if output.is_json:
        raise CommandError("--csv and --json exclude each other: choose one")
    if path == STDOUT:
        write_csv(sys.stdout, records, columns, shown=visible if sys.stdout.isatty() else str)
        return
    if path.is_symlink() and (path.is_file() or not path.exists()):
        target = path.resolve()
        raise CommandError(f"{path}: is a link; name the file itself: {target}, or - to print the list")
    try:
        # Put in its place, a file would take that of /dev/stdout for the whole machine.
        write = _write_whole if path.is_file() or not path.exists() else _write_to
        count = write(path, records, columns)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from error
    output.say(f"{path}: {count} records")


def _write_whole(path: Path, records: Iterable[Record], columns: Iterable[str]) -> int:
    """Write a file beside *path*, and put it there when it is whole, with the mode of what was there.

    A new one is for us alone. Nobody can guess the name of what is not whole yet, so that no link leads us to
    a file of somebody else's.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            if path.exists():
                os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode))
            count = write_csv(file, records, columns)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _write_to(path: Path, records: Iterable[Record], columns: Iterable[str]) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        return write_csv(file, records, columns)


def write_csv(
    file: TextIO, records: Iterable[Record], columns: Iterable[str], shown: Callable[[str], str] = str
) -> int:
    """Write *columns* of *records* below a header, and return how many there are.

    *file* must not translate line ends. Only texts are guarded: a negative amount stays a number. *shown* is
    how a cell is written there: a terminal is told of line ends, too.
    """
    names = list(columns)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(names)
    count = 0
    for record in records:
        writer.writerow([shown(cell(record[name])) for name in names])
        count += 1
    return count


def cell(value: object) -> str:
    """Return a value as it stands in a cell: an apostrophe stands wherever a formula could begin."""
    if isinstance(value, int | Decimal):
        return readable(value)
    # Line ends and tabs are written as they are, for a cell may hold them.
    text = visible(value, "\r\n\t") if isinstance(value, str) else readable(value)
    return text if _E164.fullmatch(text) else _FORMULA.sub("'", text)
