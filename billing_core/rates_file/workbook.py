"""The lines of a sheet of an XLSX workbook, as texts like those of a CSV file.

A number is the shortest decimal that stands for it, which is the one that people see; a date without
a time zone is one of UTC, as in CSV. Nothing is calculated: a formula is a fault.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice, zip_longest
from operator import itemgetter
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError  # noqa: N812 - the library's class has a small letter

from openpyxl import load_workbook
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.utils import get_column_letter

from billing_core.rates_file.archive import excess
from billing_core.settings import nearest

_SIGNATURE = b"PK\x03\x04"
_CONTENT = "xl/workbook.xml"
_OPEN_DOCUMENT = "content.xml"
_ROWS_PER_PROGRESS = 2000
_ROWS_MAX = 1_048_576
"""A sheet has no more, but a broken one may claim it, and openpyxl makes up all rows that are missing."""
# Excel keeps 15 digits of a number; whatever is longer has been rounded already.
_EXACT_MAX = 10**15

_BROKEN = (
    BadZipFile, ParseError, ZlibError, EOFError, KeyError, IndexError, ValueError, TypeError, AttributeError,
)  # fmt: skip

_Fault = Callable[[int, str, str], None]


def is_workbook(signature: bytes) -> bool:
    """Tell by its first octets whether a file is a workbook, or at least an archive."""
    return signature.startswith(_SIGNATURE)


def workbook_lines(
    stream: BinaryIO, sheet: str | None, fault: _Fault, progress: Callable[[float], None]
) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the number and texts of each row of a sheet, by default the first, that is not blank.

    *fault* takes line, column and message of what cannot be read.
    """
    try:
        with warnings.catch_warnings():
            # What openpyxl warns of (styles, validations) concerns nobody who reads values.
            warnings.simplefilter("ignore")
            if problem := _strange(stream):
                fault(0, "", problem)
                return
            workbook = load_workbook(stream, read_only=True)
            names = [found.title for found in workbook.worksheets]
            if not names or (sheet is not None and sheet not in names):
                fault(0, "", f'has no sheet "{sheet or ""}"{nearest(sheet or "", names)}')
                return
            yield from _lines(workbook[sheet or names[0]], fault, progress)
    except _BROKEN as error:
        fault(0, "", f"is no workbook that can be read ({error}); save it again, or export it as CSV")


def _strange(stream: BinaryIO) -> str | None:
    """Tell what an archive is if it is no XLSX workbook, or has too much of something."""
    with ZipFile(stream) as archive:
        names = archive.namelist()
    stream.seek(0)
    if _CONTENT in names:
        return excess(stream)
    if _OPEN_DOCUMENT in names:
        return "is an OpenDocument spreadsheet; save it as XLSX or CSV"
    return "is an archive without a workbook; give an XLSX or a CSV file"


def _lines(
    sheet: Any, fault: _Fault, progress: Callable[[float], None]
) -> Iterator[tuple[int, Sequence[str]]]:
    rows_expected = sheet.max_row or 0
    # Programs that write a wrong size are common, and rows beyond it would be lost.
    sheet.reset_dimensions()
    names: list[str] = []
    rows = enumerate(sheet.iter_rows(values_only=True), 1)
    for number, values in filter(itemgetter(1), islice(rows, _ROWS_MAX)):
        if number % _ROWS_PER_PROGRESS == 0 and rows_expected:
            progress(min(1.0, number / rows_expected))
        try:
            cells = [_TEXTS[type(value)](value) for value in values]
        except (KeyError, ValueError):
            _explain(number, names, values, fault)
            continue
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            cells += [""] * (len(names) - len(cells))
            names = names or cells
            yield number, cells
    if next(rows, None) is not None:
        fault(0, "", f"has a row beyond {_ROWS_MAX:,}, the last that a sheet can have; save it again")


def _explain(number: int, names: Sequence[str], values: Sequence[Any], fault: _Fault) -> None:
    """Keep every fault of a row that has no texts."""
    for place, (name, value) in enumerate(zip_longest(names, values, fillvalue=None), 1):
        cell = f"cell {get_column_letter(place)}{number}"
        try:
            _TEXTS[type(value)](value)
        except KeyError:
            fault(number, name or "", f"{cell} holds a {type(value).__name__}; put text, a number or a date")
        except ValueError as error:
            fault(number, name or "", f"{cell} {error}")


def _text(value: str) -> str:
    if value.startswith("="):
        raise ValueError("holds a formula; put its value there (copy, then paste as values)")
    if value in ERROR_CODES:
        raise ValueError(f"holds the error {value}; correct it")
    return value


def _number(value: float) -> str:
    if not -_EXACT_MAX < value < _EXACT_MAX:
        raise ValueError("holds a number of more digits than Excel keeps; format the cell as text")
    return f"{Decimal(int(value) if value.is_integer() else repr(value)):f}"


def _moment(value: datetime) -> str:
    return value.isoformat() if value.tzinfo else f"{value.isoformat()}Z"


_TEXTS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "",
    str: _text,
    int: str,
    float: _number,
    bool: lambda value: str(value).lower(),
    datetime: _moment,
    date: date.isoformat,
}
