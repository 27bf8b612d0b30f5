"""What a command says: a table or sentences for people, exactly one JSON document for programs.

With `--json` only the document goes to stdout, everything else to stderr. Money is written as a
string without exponent, a time as RFC 3339 in UTC.
"""

import csv
import json
from argparse import ArgumentParser
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from billing_core.money import plain
from billing_core.visible import plain_json, visible, visible_lines

# Where nobody looks, no line is cut or folded: other programs read it.
_WIDTH_WITHOUT_TERMINAL = 100_000

OK, FAILED = 0, 1
"""How a command ends that did what it should, and one that told why it could not."""

NOTHING = "—"
"""What stands for people where there is no value."""

MASK = "***"
"""What stands in place of a secret."""

Record = Mapping[str, Any]


class CommandError(Exception):
    """An expected failure: one sentence that names the place, the value and what would be right."""


class CommandParser(ArgumentParser):
    """A command line of ours: what was typed there is quoted without steering the terminal."""

    def error(self, message: str) -> NoReturn:
        """Tell what is wrong, and end with status 2."""
        super().error(visible_lines(message))


def instant(moment: datetime) -> str:
    """Return *moment* in the form of RFC 3339, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def readable(value: object) -> str:
    """Return a value as people read it; characters that could steer a terminal are written out."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return plain(value)
        case datetime():
            return instant(value)
        case date():
            return value.isoformat()
        case list() | tuple():
            return ", ".join(map(_quoted, value))
        case _:
            return visible(str(value))


def _quoted(item: object) -> str:
    """Write an item of a list as CSV does, so that `items` finds it again."""
    text = readable(item)
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def items(text: str) -> list[str]:
    """Return the items of a list as `readable` writes it."""
    return next(csv.reader([text], skipinitialspace=True), [])


def json_value(value: object) -> str:
    """Return what JSON has no word for: money and times."""
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return instant(value)
        case date():
            return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_WITHOUT_TERMINAL
    return console


class Output:
    """Where one command writes."""

    def __init__(self, is_json: bool) -> None:
        """Write for programs if *is_json*, else for people."""
        self.is_json = is_json
        self._console = _console(stderr=False)
        self._stderr = _console(stderr=True)

    def say(self, sentence: str) -> None:
        """Tell something to people; it is never part of the document."""
        (self._stderr if self.is_json else self._console).print(Text(visible_lines(sentence)), soft_wrap=True)

    def error(self, sentence: str) -> None:
        """Tell what went wrong."""
        self._stderr.print(Text(visible_lines(sentence)), soft_wrap=True)

    def document(self, value: object) -> None:
        """Write the one JSON document of a command that has `--json`."""
        self._console.file.write(plain_json(json.dumps(value, default=json_value, indent=2)) + "\n")

    def records(self, records: Iterable[Record], columns: Iterable[str], right: Collection[str] = ()) -> None:
        """Write a list: for programs with every field, for people the *columns* that fit a screen.

        Columns of numbers stand at the right, and those of *right*, where numbers are already written out.
        """
        if self.is_json:
            self._array(records)
        else:
            self._table(records, list(columns), right)

    def record(self, record: Record) -> None:
        """Write one thing: for people a line for each field."""
        if self.is_json:
            self.document(record)
            return
        table = Table(box=None, show_header=False)
        for field, value in _flat(record):
            table.add_row(Text(field.replace("_", " ")), Text(readable(value)))
        self._console.print(table)

    def sheet(self, groups: Iterable[tuple[str, Iterable[Sequence[object]]]]) -> None:
        """Write rows of cells for people, each group of them under its heading."""
        for heading, rows in groups:
            self._console.print(Text(f"\n{visible(heading)}"))
            table = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
            for row in rows:
                table.add_row(*(Text(readable(cell) or NOTHING) for cell in row))
            self._console.print(table)

    def _array(self, records: Iterable[Record]) -> None:
        """Write one array, a record at a time: a month of calls need not fit into memory."""
        write = self._console.file.write
        separator = "["
        for record in records:
            write(f"{separator}\n{plain_json(json.dumps(record, default=json_value))}")
            separator = ","
        write("[]\n" if separator == "[" else "\n]\n")

    def _table(self, records: Iterable[Record], columns: list[str], right: Collection[str]) -> None:
        rows = [[record[column] for column in columns] for record in records]
        table = Table(box=None)
        for place, column in enumerate(columns):
            is_number = column in right or any(isinstance(row[place], int | Decimal) for row in rows)
            table.add_column(Text(column.replace("_", " ")), justify="right" if is_number else "left")
        for row in rows:
            table.add_row(*(Text(readable(value)) for value in row))
        self._console.print(table)


def _flat(record: Record, around: str = "") -> Iterable[tuple[str, object]]:
    for field, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{around}{field} ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for place, item in enumerate(value, 1):
                yield from _flat(item, f"{around}{field} {place} ")
        else:
            yield around + field, value
