"""Reads a rates file of either kind: lines of texts become rates, and everything wrong is collected."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from billing_core.rates_file.columns import NAMES, REQUIRED, Meanings, RateRow
from billing_core.rates_file.csv_lines import csv_lines
from billing_core.rates_file.workbook import is_workbook, workbook_lines
from billing_core.settings import Fault, SettingsError, nearest

_FAULTS_MAX = 100
_SIGNATURE_OCTETS = 8
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_rates(path: Path) -> Iterator[RateRow]:
    """Yield the rates of a file without knowing any database: names of time profiles are taken as they are.

    When anything is faulty, SettingsError with all faults is raised at the end: rows yielded until
    then must be thrown away. From the first fault on no more rows are yielded.
    """
    reader = RatesReader(path)
    first: dict[tuple[str, datetime | None, str | None], int] = {}
    for row in reader.rows():
        line = first.setdefault((row.code, row.effective_from, row.time_profile), row.line)
        if line != row.line:
            reader.fault(row.line, "code", twice(row.code, row.time_profile, line))
        if not reader.faults:
            yield row
    reader.check()


def twice(code: str, time_profile: str | None, first_line: int) -> str:
    """Return what is wrong with a rate that stands on an earlier line already."""
    key = "this effective_from and time_profile" if time_profile else "this effective_from"
    return f'"{code}" with {key} is on line {first_line} too'


class RatesReader:
    """One rates file: its rows, and after the last of them its faults.

    That no rate is there twice is for the caller to see: remembering a million codes takes much memory.
    """

    def __init__(
        self,
        path: Path,
        *,
        sheet: str | None = None,
        time_profiles: Collection[str] | None = None,
        progress: Callable[[float], None] = lambda part: None,
    ) -> None:
        """Read *path*, of a workbook the first sheet or the one named *sheet*.

        *time_profiles* are the names that exist, None if that is not known. *progress* is told now and
        then which part has been read.
        """
        self._path = path
        self._sheet = sheet
        self._time_profiles = time_profiles
        self._progress = progress
        self.faults: list[Fault] = []
        self.more = 0

    def fault(self, line: int, column: str, message: str) -> None:
        """Keep a fault, or only count it when there are many."""
        if len(self.faults) < _FAULTS_MAX:
            self.faults.append(Fault(self._path, line, column, message))
        else:
            self.more += 1

    def check(self) -> None:
        """Raise SettingsError, in the order of lines, if there were faults."""
        if self.faults:
            raise SettingsError(sorted(self.faults, key=lambda fault: fault.line), self.more)

    def rows(self) -> Iterator[RateRow]:
        """Yield every row in which nothing is wrong; the faults of the others are kept."""
        try:
            with self._path.open("rb") as stream:
                yield from self._rows(self._lines(stream))
        except OSError as error:
            self.fault(0, "", f"cannot be read: {error.strerror or error}")

    def _lines(self, stream: BinaryIO) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield the number and fields of each line that is not blank."""
        signature = stream.read(_SIGNATURE_OCTETS)
        stream.seek(0)
        if is_workbook(signature):
            return workbook_lines(stream, self._sheet, self.fault, self._progress)
        if self._sheet is not None:
            self.fault(0, "", f'is no XLSX workbook, so it has no sheet "{self._sheet}"; leave --sheet away')
            return iter(())
        return csv_lines(stream, self._path.stat().st_size, self.fault, self._progress)

    def _rows(self, lines: Iterator[tuple[int, Sequence[str]]]) -> Iterator[RateRow]:
        number, names = next(lines, (0, ()))
        if number:
            self._check_names(number, names)
        elif not self.faults:
            self.fault(0, "", f"is empty; the first line must name the columns: {','.join(NAMES)}")
        if self.faults:
            return
        meanings = [Meanings(name, self._time_profiles) for name in names]
        absent = [name for name in RateRow._fields[1:] if name not in names]
        defaults = [RateRow._field_defaults[name] for name in absent]
        in_order = itemgetter(*map([*names, *absent].index, RateRow._fields[1:]))
        make = RateRow._make
        header = number
        for number, cells in lines:
            try:
                values = [meaning[cell] for meaning, cell in zip(meanings, cells, strict=True)]
            except ValueError:
                self._explain(number, names, meanings, cells)
                continue
            row = make((number, *in_order(values + defaults)))
            # Only these fields can contradict another one.
            if (row.end_date is None and not row.number_length_max) or self._is_sound(row):
                yield row
        if number == header and not self.faults:
            self.fault(0, "", "has no rates below the names of the columns")

    def _check_names(self, line: int, names: Sequence[str]) -> None:
        if len(names) == 1 and (used := next((mark for mark in _DELIMITERS if mark in names[0]), None)):
            self.fault(line, "", f"columns are divided by {_DELIMITERS[used]}; use commas")
            return
        for place, name in enumerate(names):
            if name not in NAMES:
                self.fault(line, name, f"unknown column{nearest(name, NAMES)}")
            elif name in names[:place]:
                self.fault(line, name, "this column is there twice; keep one")
        for name in REQUIRED:
            if name not in names:
                self.fault(line, name, "this column is missing")

    def _explain(
        self, line: int, names: Sequence[str], meanings: Sequence[Meanings], cells: Sequence[str]
    ) -> None:
        """Keep every fault of a line that could not be read."""
        if len(cells) != len(names):
            message = f"has {len(cells)} fields, but there are {len(names)} columns"
            self.fault(line, "", f'{message}; text with a comma needs quotes: "Cuba, mobile"')
            return
        for name, meaning, cell in zip(names, meanings, cells, strict=True):
            try:
                meaning[cell]
            except ValueError as error:
                self.fault(line, name, str(error))

    def _is_sound(self, row: RateRow) -> bool:
        """Look at what no single field tells."""
        if row.end_date and row.effective_from and row.end_date <= row.effective_from:
            self.fault(row.line, "end_date", "is not after effective_from")
            return False
        if 0 < row.number_length_max < row.number_length_min:
            self.fault(
                row.line,
                "number_length_max",
                f"is less than number_length_min, {row.number_length_min}; write 0 for no bound",
            )
            return False
        return True
