"""Rates in a workbook: the same rows as from a CSV file, and faults named with their cell."""

import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import Workbook

from billing_core.rates_file import RateRow, RatesReader, read_rates
from billing_core.settings import SettingsError

HEADER = ["code", "destination", "price_per_minute"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rates.xlsx"


def write(file: Path, *sheets: list[list[object]]) -> None:
    workbook = Workbook()
    workbook.remove(workbook.active)
    for number, rows in enumerate(sheets, 1):
        sheet = workbook.create_sheet(f"Sheet {number}")
        for row in rows:
            sheet.append(row)
    workbook.save(file)


def faults(file: Path, *rows: list[object]) -> list[str]:
    write(file, list(rows))
    with pytest.raises(SettingsError) as raised:
        list(read_rates(file))
    return [line.removeprefix(f"{file}:").strip() for line in str(raised.value).splitlines()]


def test_numbers_dates_texts_and_truths_mean_what_they_show(file):
    header = [*HEADER, "setup_fee", "interval_seconds", "effective_from", "end_date", "blocked"]
    begin, end = datetime.fromisoformat("2026-01-01T12:30:00"), date(2027, 1, 1)
    write(file, [header, [44, "UK", 0.1, 0.00005, 6.0, begin, end, True], ["7", None, "-0.02"]])

    first, second = read_rates(file)

    assert first == RateRow(
        line=2,
        code="44",
        destination="UK",
        price_per_minute=Decimal("0.1"),
        setup_fee=Decimal("0.00005"),
        interval_seconds=6,
        effective_from=datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
        end_date=datetime(2027, 1, 1, tzinfo=UTC),
        blocked=True,
    )
    assert second == RateRow(line=3, code="7", price_per_minute=Decimal("-0.02"))


def test_blank_rows_are_passed_over_and_counted(file):
    write(file, [HEADER, [44, "UK", 1], [], [None, None, None], [7, "Russia", 2]])

    assert [(row.line, row.code) for row in read_rates(file)] == [(2, "44"), (5, "7")]


CELLS = {
    "=1+1": "2: price_per_minute: cell C2 holds a formula; put its value there (copy, then paste as values)",
    "#N/A": "2: price_per_minute: cell C2 holds the error #N/A; correct it",
    0.123456789: '2: price_per_minute: "0.123456789" is not an amount; write at most 9 digits, and 8 more'
    ' after a point, as in "12.50"',
    1e20: "2: price_per_minute: cell C2 holds a number of more digits than Excel keeps; format the cell as"
    " text",
    None: '2: price_per_minute: "" is not an amount; write at most 9 digits, and 8 more after a point,'
    ' as in "12.50"',
    "0,05": '2: price_per_minute: "0,05" has a comma; use a point, and nothing between thousands',
}


@pytest.mark.parametrize("value", CELLS)
def test_a_faulty_cell_is_named_with_what_would_be_right(file, value):
    assert faults(file, HEADER, [44, "UK", value]) == [CELLS[value]]


def test_a_code_that_excel_rounded_is_refused(file):
    assert faults(file, HEADER, [1234567890123456789.0, "", 1]) == [
        "2: code: cell A2 holds a number of more digits than Excel keeps; format the cell as text"
    ]


def test_a_time_of_day_is_no_date(file):
    found = faults(file, [*HEADER, "end_date"], [44, "", 1, time(12)])

    assert found == ["2: end_date: cell D2 holds a time; put text, a number or a date"]


def test_all_faults_of_all_rows_are_told(file):
    found = faults(file, HEADER, ["x", "", "=A1"], ["y", "", 1], [44, "", 1, 5])

    assert [fault.split(":")[0] for fault in found] == ["2", "3", "4"]


def test_the_first_sheet_is_read_unless_another_is_named(file):
    write(file, [HEADER, [44, "UK", 1]], [HEADER, [7, "Russia", 2]])

    assert [row.code for row in RatesReader(file).rows()] == ["44"]
    assert [row.code for row in RatesReader(file, sheet="Sheet 2").rows()] == ["7"]


def test_a_sheet_that_is_not_there_is_told_with_the_one_that_was_meant(file):
    write(file, [HEADER, [44, "UK", 1]])
    reader = RatesReader(file, sheet="Sheet1")

    assert list(reader.rows()) == []
    assert str(reader.faults[0]) == f'{file}: has no sheet "Sheet1"; did you mean "Sheet 1"?'


def test_a_sheet_that_says_to_be_smaller_than_it_is_is_read_to_its_end(file, tmp_path):
    write(file, [HEADER, *([100 + number, "", 1] for number in range(20))])
    shrunk = tmp_path / "shrunk.xlsx"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(shrunk, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b'ref="A1:C21"', b'ref="A1:A1"'))

    assert len(list(read_rates(shrunk))) == 20


ARCHIVES = {
    "content.xml": "is an OpenDocument spreadsheet; save it as XLSX or CSV",
    "readme.txt": "is an archive without a workbook; give an XLSX or a CSV file",
    "xl/workbook.xml": "is no workbook that can be read",
}


def test_a_row_beyond_all_sheets_is_not_waited_for(file, tmp_path):
    write(file, [HEADER, ["44", "UK", "1"]])
    absurd = tmp_path / "absurd.xlsx"
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(absurd, "w") as broken:
        for name in whole.namelist():
            broken.writestr(name, whole.read(name).replace(b'<row r="2"', b'<row r="' + b"4" * 60 + b'"'))

    with pytest.raises(SettingsError, match=r"has a row beyond 1,048,576, .*; save it again"):
        list(read_rates(absurd))


@pytest.mark.parametrize("member", ARCHIVES)
def test_another_archive_is_refused_with_a_remedy(file, member):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, "<a/>")

    with pytest.raises(SettingsError, match=ARCHIVES[member]):
        list(read_rates(file))
