"""Rates CSV: read row by row in bounded memory, every fault named as `file:line: column: what`.

One row stands on one line, in UTF-8, with `,` between fields and a point in numbers.
"""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from billing_core.money import ZERO
from billing_core.number import normalise
from billing_core.settings import Fault, SettingsError, amount, nearest

_FAULTS_MAX = 100
_LINE_OCTETS_MAX = 8192
_SECONDS_MAX = 86_400
_REMEMBERED_MAX = 4096

_SIGNATURES = {
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"PK\x03\x04": "is a spreadsheet or an archive; export it as CSV",
}
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)


@dataclass(frozen=True, slots=True)
class RateRow:
    """A rate as written on `line`; see `billing_core.rate_table.Rate` for what its fields mean."""

    line: int
    code: str
    price_per_minute: Decimal
    destination: str = ""
    setup_fee: Decimal = ZERO
    min_volume_seconds: int = 1
    interval_seconds: int = 1
    grace_seconds: int = 0
    effective_from: datetime | None = None
    end_date: datetime | None = None


def read_rates(path: Path) -> Iterator[RateRow]:
    """Yield the rates of a file.

    When any line is faulty, SettingsError with all faults is raised at the end: rows yielded until
    then must be thrown away. From the first fault on no more rows are yielded.
    """
    reader = _Reader(path)
    try:
        with path.open("rb") as stream:
            yield from reader.rows(stream)
    except OSError as error:
        reader.fault(0, "", f"cannot be read: {error.strerror}")
    if reader.faults:
        raise SettingsError(reader.faults, reader.more)


# --- one parser for each kind of field; they raise ValueError ---------------------------------------


@lru_cache(_REMEMBERED_MAX)
def _fee(text: str) -> Decimal:
    fee = amount(text)
    if fee < 0:
        raise ValueError(f'"{text}" is negative; only price_per_minute may be')
    return fee


@lru_cache(_REMEMBERED_MAX)
def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > _SECONDS_MAX:
        raise ValueError(f'"{text}" is not a whole number of seconds from 0 to {_SECONDS_MAX}')
    return int(text)


def _interval(text: str) -> int:
    seconds = _seconds(text)
    if seconds == 0:
        raise ValueError("an interval of 0 would never end; write 1 for billing by the second")
    return seconds


@lru_cache(_REMEMBERED_MAX)
def _instant(text: str) -> datetime:
    """Read a date, which begins at midnight UTC, or an instant of RFC 3339."""
    form = _INSTANT.fullmatch(text)
    if form is None:
        raise ValueError(f'"{text}" is not a date; write "2026-12-31" or "2026-12-31T22:00:00Z"')
    if form[1] and not form[2]:
        raise ValueError(f'"{text}" names no time zone; add Z for UTC, or an offset as +02:00')
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(UTC) if form[2] else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text}" is a date that does not exist') from None


def _code(text: str) -> str:
    number = normalise(text)
    if number is None or len(text) > 40:
        raise ValueError(f'"{text}" is not a code; write 1 to 40 of the characters 0-9 * #')
    if number != text:
        raise ValueError(f'"{text}" has a prefix that numbers are compared without; write "{number}"')
    return text


def _destination(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a character that cannot be shown; remove it")
    return text


def _no_time_profile(text: str) -> None:
    raise ValueError(f'"{text}": time profiles are not supported; leave it empty')


_COLUMNS: dict[str, Callable[[str], Any]] = {
    "code": _code,
    "destination": _destination,
    "price_per_minute": lru_cache(_REMEMBERED_MAX)(amount),
    "setup_fee": _fee,
    "min_volume_seconds": _seconds,
    "interval_seconds": _interval,
    "grace_seconds": _seconds,
    "effective_from": _instant,
    "end_date": _instant,
    "time_profile": _no_time_profile,
}
_REQUIRED = ("code", "price_per_minute")


class _Reader:
    """The faults of one file, and what is needed to find them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: dict[tuple[str, datetime | None], int] = {}  # Line of each code and its date.
        self.faults: list[Fault] = []
        self.more = 0

    def fault(self, line: int, column: str, message: str) -> None:
        """Keep a fault, or only count it when there are many."""
        if len(self.faults) < _FAULTS_MAX:
            self.faults.append(Fault(self._path, line, column, message))
        else:
            self.more += 1

    def rows(self, stream: BinaryIO) -> Iterator[RateRow]:
        """Yield the rows while there is no fault."""
        lines = self._lines(stream)
        number, columns = next(lines, (0, []))
        if number:
            self._check_columns(number, columns)
        elif not self.faults:
            self.fault(0, "", f"is empty; the first line must name the columns: {','.join(_COLUMNS)}")
        if self.faults:
            return
        for number, cells in lines:
            row = self._row(number, columns, cells)
            if row and not self.faults:
                yield row
        if not self._first and not self.faults:
            self.fault(0, "", "has no rates below the names of the columns")

    def _lines(self, stream: BinaryIO) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and fields of each line that is not blank."""
        number = 0
        while octets := stream.readline(_LINE_OCTETS_MAX):
            number += 1
            if number == 1:
                octets = octets.removeprefix(b"\xef\xbb\xbf")
            if problem := _unreadable(octets, number):
                self.fault(number, "", problem)
                if number == 1 or len(octets) == _LINE_OCTETS_MAX:
                    return
                continue
            text = octets.decode().removesuffix("\n").removesuffix("\r")
            if text and (cells := self._cells(number, text)):
                yield number, cells

    def _cells(self, number: int, text: str) -> list[str] | None:
        if '"' not in text:
            return text.split(",")
        try:
            return next(csv.reader([text], strict=True))
        except csv.Error:
            self.fault(number, "", 'a quote is not closed, or text follows it; inside quotes write " twice')
            return None

    def _check_columns(self, line: int, names: list[str]) -> None:
        if len(names) == 1 and (used := next((mark for mark in _DELIMITERS if mark in names[0]), None)):
            self.fault(line, "", f"columns are divided by {_DELIMITERS[used]}; use commas")
            return
        for place, name in enumerate(names):
            if name not in _COLUMNS:
                self.fault(line, name, f"unknown column{nearest(name, _COLUMNS)}")
            elif name in names[:place]:
                self.fault(line, name, "this column is there twice; keep one")
        for name in _REQUIRED:
            if name not in names:
                self.fault(line, name, "this column is missing")

    def _row(self, line: int, columns: list[str], cells: list[str]) -> RateRow | None:
        if len(cells) != len(columns):
            message = f"has {len(cells)} fields, but there are {len(columns)} columns"
            self.fault(line, "", f'{message}; text with a comma needs quotes: "Cuba, mobile"')
            return None
        values: dict[str, Any] = {}
        faulty = False
        for column, cell in zip(columns, cells, strict=True):
            try:
                if cell or column in _REQUIRED:
                    values[column] = _COLUMNS[column](cell)
            except ValueError as error:
                faulty = True
                self.fault(line, column, str(error))
        return None if faulty else self._checked(RateRow(line, **values))

    def _checked(self, row: RateRow) -> RateRow:
        """Look at what no single field tells."""
        if row.end_date and row.effective_from and row.end_date <= row.effective_from:
            self.fault(row.line, "end_date", "is not after effective_from")
        first = self._first.setdefault((row.code, row.effective_from), row.line)
        if first != row.line:
            self.fault(row.line, "code", f'"{row.code}" with this effective_from is on line {first} too')
        return row


def _unreadable(octets: bytes, number: int) -> str | None:
    """Tell why a line cannot be taken as text, if so."""
    if number == 1 and (sign := next(filter(octets.startswith, _SIGNATURES), None)):
        return _SIGNATURES[sign]
    if b"\0" in octets:
        return "has a NUL octet; save the file as UTF-8 text"
    if len(octets) == _LINE_OCTETS_MAX:
        return f"the line has {_LINE_OCTETS_MAX} octets or more; one row stands on one line"
    if b"\r" in octets.removesuffix(b"\n").removesuffix(b"\r"):
        return "has a bare carriage return; save the file with the line ends of Unix or Windows"
    try:
        octets.decode()
    except UnicodeDecodeError as error:
        return f"octet 0x{octets[error.start]:02x} is not UTF-8; save the file as UTF-8"
    return None
