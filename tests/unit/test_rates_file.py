"""Rates files: what a row means, and what is said of every fault."""

import tracemalloc
from collections import deque
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.admin.csv_export import cell
from billing_core.rates_file import RateRow, RatesReader, read_rates
from billing_core.settings import SettingsError, amount

HEADER = (
    "code,destination,price_per_minute,setup_fee,min_volume_seconds,interval_seconds,grace_seconds,"
    "effective_from,end_date,time_profile,number_length_min,number_length_max,blocked"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rates.csv"


def rows(file: Path, content: str | bytes | Path) -> list[RateRow]:
    if content != file:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rates(file))


def faults(file: Path, content: str | bytes) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        rows(file, content)
    return [line.removeprefix(f"{file}:").strip() for line in str(raised.value).splitlines()]


# --- what a row means -------------------------------------------------------------------------------


def test_a_full_row_is_read_field_by_field(file):
    row = '44,"UK, ""London""",-0.05,0.3,30,6,2,2026-01-01,2026-12-31T22:00:00+02:00,night,9,11,true'

    assert rows(file, f"{HEADER}\n{row}\n") == [
        RateRow(
            line=2,
            code="44",
            destination='UK, "London"',
            price_per_minute=Decimal("-0.05"),
            setup_fee=Decimal("0.3"),
            min_volume_seconds=30,
            interval_seconds=6,
            grace_seconds=2,
            effective_from=datetime(2026, 1, 1, tzinfo=UTC),
            end_date=datetime(2026, 12, 31, 20, tzinfo=UTC),
            time_profile="night",
            number_length_min=9,
            number_length_max=11,
            blocked=True,
        )
    ]


@pytest.mark.parametrize("content", ["price_per_minute,code\n0.05,44", f"{HEADER}\n44,,0.05,,,,,,,,,,\n"])
def test_absent_columns_and_empty_fields_have_defaults(file, content):
    [row] = rows(file, content)

    assert (row.code, row.price_per_minute, row.destination) == ("44", Decimal("0.05"), "")
    assert (row.setup_fee, row.min_volume_seconds, row.interval_seconds, row.grace_seconds) == (0, 1, 1, 0)
    assert (row.effective_from, row.end_date, row.time_profile) == (None, None, None)
    assert (row.number_length_min, row.number_length_max, row.blocked) == (0, 0, False)


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_are_accepted(file):
    found = rows(file, b"\xef\xbb\xbfcode,price_per_minute\r\n44,1\r\n\r\n33,2\r\n")

    assert [(row.line, row.code) for row in found] == [(2, "44"), (4, "33")]


def test_one_code_may_have_a_rate_for_each_date(file):
    content = "code,price_per_minute,effective_from\n44,1,\n44,2,2026-01-01\n44,3,2026-01-01T00:00:01Z\n"

    assert len(rows(file, content)) == 3


@given(st.decimals("-999999999", "999999999", places=8))
def test_every_price_of_nine_digits_and_eight_places_is_read_exactly(price):
    assert amount(f"{price:f}") == price


# --- faults of a row --------------------------------------------------------------------------------

FIELDS = {
    ("code", ""): '"" is not a code; write 1 to 40 of the characters 0-9 * #',
    ("code", "44 20"): '"44 20" is not a code; write 1 to 40 of the characters 0-9 * #',
    ("code", "1" * 41): f'"{"1" * 41}" is not a code; write 1 to 40 of the characters 0-9 * #',
    ("code", "\uff14"): '"\uff14" is not a code; write 1 to 40 of the characters 0-9 * #',
    ("code", "+44"): '"+44" has a prefix that numbers are compared without; write "44"',
    ("code", "0044"): '"0044" has a prefix that numbers are compared without; write "44"',
    ("destination", "a\x07b"): "has a character that cannot be shown; remove it",
    ("price_per_minute", '"0,05"'): '"0,05" has a comma; use a point, and nothing between thousands',
    ("price_per_minute", "NaN"): '"NaN" is not an amount; write at most 9 digits, and 8 more after a point,'
    ' as in "12.50"',
    (
        "price_per_minute",
        "",
    ): '"" is not an amount; write at most 9 digits, and 8 more after a point, as in "12.50"',
    ("setup_fee", "-0.01"): '"-0.01" is negative; only price_per_minute may be',
    ("min_volume_seconds", "1.5"): '"1.5" is not a whole number of seconds from 0 to 86400',
    ("min_volume_seconds", "-1"): '"-1" is not a whole number of seconds from 0 to 86400',
    ("grace_seconds", "86401"): '"86401" is not a whole number of seconds from 0 to 86400',
    ("grace_seconds", "\u0661"): '"\u0661" is not a whole number of seconds from 0 to 86400',
    ("interval_seconds", "0"): "an interval of 0 would never end; write 1 for billing by the second",
    (
        "effective_from",
        "01.02.2026",
    ): '"01.02.2026" is not a date; write "2026-12-31" or "2026-12-31T22:00:00Z"',
    ("effective_from", "2026-02-31"): '"2026-02-31" is a date that does not exist',
    (
        "effective_from",
        "0001-01-01T00:00:00+02:00",
    ): '"0001-01-01T00:00:00+02:00" is a date that does not exist',
    ("effective_from", "2026-01-01T00:00:00"): '"2026-01-01T00:00:00" names no time zone; add Z for UTC,'
    " or an offset as +02:00",
    ("number_length_min", "41"): '"41" is not a number of digits from 0 (no bound) to 40',
    ("number_length_max", "-1"): '"-1" is not a number of digits from 0 (no bound) to 40',
    ("blocked", "yes"): '"yes" is neither true nor false',
}


@pytest.mark.parametrize(("column", "text"), FIELDS)
def test_a_faulty_field_is_named_with_what_would_be_right(file, column, text):
    fields = {"code": "44", "price_per_minute": "0.05"} | {column: text}

    found = faults(file, f"{','.join(fields)}\n{','.join(fields.values())}\n")

    assert found == [f"2: {column}: {FIELDS[column, text]}"]


def test_an_end_is_after_its_beginning(file):
    content = "code,price_per_minute,effective_from,end_date\n44,1,2026-01-01,2026-01-01T00:00:00Z\n"

    assert faults(file, content) == ["2: end_date: is not after effective_from"]


def test_the_longest_number_is_not_shorter_than_the_shortest(file):
    content = "code,price_per_minute,number_length_min,number_length_max\n44,1,9,8\n44,1,9,0\n"

    assert faults(file, content)[0] == (
        "2: number_length_max: is less than number_length_min, 9; write 0 for no bound"
    )


def test_a_time_profile_must_be_one_that_exists(file):
    file.write_text("code,price_per_minute,time_profile\n44,1,nigth\n44,1,night\n44,1,\n")
    reader = RatesReader(file, time_profiles={"night", "peak"})

    assert [row.time_profile for row in reader.rows()] == ["night", None]
    assert [str(fault) for fault in reader.faults] == [
        f'{file}:2: time_profile: there is no time profile "nigth"; did you mean "night"?'
    ]


def test_a_code_may_have_a_rate_for_each_time_profile(file):
    content = "code,price_per_minute,time_profile\n44,1,\n44,2,night\n44,3,peak\n"

    assert len(rows(file, content)) == 3


def test_a_rate_that_is_there_twice_shows_both_lines(file):
    content = "code,price_per_minute,effective_from\n44,1,2026-01-01\n33,1,\n44,2,2026-01-01T02:00:00+02:00\n"

    assert faults(file, content) == ['4: code: "44" with this effective_from is on line 2 too']


def test_all_faults_are_reported_at_once(file):
    content = b'code,price_per_minute\nx,y\n44\n"33,1\n\xff,1\n31,1\n32,"1"x\n'

    assert [fault.split(":")[0] for fault in faults(file, content)] == ["2", "2", "3", "4", "5", "7"]


def test_faults_beyond_a_hundred_are_counted(file):
    found = faults(file, "code,price_per_minute\n" + "x,1\n" * 250)

    assert len(found) == 101
    assert found[-1] == "... and 150 more"


def test_no_row_follows_a_fault(file):
    file.write_text("code,price_per_minute\n44,1\nx,1\n33,1\n")
    reader = read_rates(file)

    assert next(reader).code == "44"
    with pytest.raises(SettingsError):
        next(reader)


# --- faults of the whole ----------------------------------------------------------------------------

FILES = {
    b"": f"is empty; the first line must name the columns: {HEADER}",
    b"code,price_per_minute\n": "has no rates below the names of the columns",
    b"code;price_per_minute\n44;1": "1: columns are divided by semicolons; use commas",
    b"code\tprice_per_minute\n44\t1": "1: columns are divided by tabs; use commas",
    b"code,price_per_minute,pricing\n": "1: pricing: unknown column"
    "; known here: blocked, code, destination, effective_from, end_date, grace_seconds, interval_seconds,"
    " min_volume_seconds, number_length_max, number_length_min, price_per_minute, setup_fee, time_profile",
    b"code,price_per_minute,code\n": "1: code: this column is there twice; keep one",
    b"price_per_minute\n1": "1: code: this column is missing",
    b"code,price_per_minute\n44,1,2": "2: has 3 fields, but there are 2 columns; text with a comma"
    ' needs quotes: "Cuba, mobile"',
    b"code,price_per_minute\r44,1\r": "1: has a bare carriage return; save the file with the line ends of"
    " Unix or Windows",
    b'code,price_per_minute\n44,"1\n33,2\n': "2: a quote is not closed, or text follows it;"
    ' inside quotes write " twice',
    b"code,price_per_minute\n\xff,1\n": "2: octet 0xff is not UTF-8; save the file as UTF-8",
    b"code,price_per_minute\n"
    + b"1" * 9000: "2: the line has 8192 octets or more; one row stands on one line",
    "code,price_per_minute\n44,1\n".encode("utf-16"): "1: is UTF-16; save it as UTF-8",
    "code,price_per_minute\n44,1\n".encode("utf-16-be"): "1: has a NUL octet; save the file as UTF-8 text",
    b"PK\x03\x04rest": "is no workbook that can be read (File is not a zip file); save it again, or export"
    " it as CSV",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "1: is a workbook of old Excel, or one with a password; save it as"
    " XLSX or CSV",
}


@pytest.mark.parametrize("content", FILES, ids=lambda content: str(content[:30]))
def test_a_file_that_is_no_rates_file_is_refused_with_a_remedy(file, content):
    assert [fault.removeprefix(f"{file}: ") for fault in faults(file, content)] == [FILES[content]]


def test_a_rates_file_names_no_currency_since_its_table_has_one_b_145(file):
    [fault] = faults(file, "code,price_per_minute,currency\n44,1,USD\n33,1,EUR\n")

    assert fault.startswith("1: currency: unknown column")


def test_many_rates_are_never_together_in_memory_b_147(file):
    file.write_text("code,price_per_minute\n" + "".join(f"1{n},0.{n % 9973:04}\n" for n in range(40_000)))
    tracemalloc.start()
    [last] = deque(RatesReader(file).rows(), maxlen=1)
    _, octets = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert last.line == 40_001
    assert octets < 100 * 40_000  # All these rows would take four times as much.


@pytest.mark.parametrize("written", ["=1+1", "@SUM(A1)", "<script>alert(1)</script>", "-1"])
def test_a_destination_is_kept_as_written_and_guarded_where_it_could_run_b_149(file, written):
    [row] = rows(file, f"code,price_per_minute,destination\n44,1,{written}\n")

    assert row.destination == written
    assert cell(row.destination) == ("'" + written if written[0] in "=@-" else written)


def test_lines_are_counted_right_in_every_block_of_a_large_file(file):
    lines = [f"1{number},0.{number % 7}1" for number in range(60_000)]
    lines[20_000] = "1,2,3"  # In a block without anything else that needs a closer look.
    lines[40_000] = '"quoted'
    lines[50_000] = "\xff"

    found = faults(file, "code,price_per_minute\r\n" + "\r\n".join(lines))

    assert [fault.split(":")[0] for fault in found] == ["20002", "40002", "50002"]


def test_a_line_without_an_end_is_not_read_into_memory(file):
    with file.open("wb") as stream:
        stream.write(b"code,price_per_minute\n44,1\n")
        stream.truncate(1 << 34)

    assert faults(file, file) == ["3: has a NUL octet; save the file as UTF-8 text"]


def test_the_progress_reaches_the_end(file):
    file.write_text("code,price_per_minute\n" + "".join(f"1{number},1\n" for number in range(90_000)))
    parts = []

    assert len(list(RatesReader(file, progress=parts.append).rows())) == 90_000
    assert len(parts) > 2
    assert (parts == sorted(parts), parts[-1]) == (True, 1)


def test_a_csv_has_no_sheets(file):
    file.write_text("code,price_per_minute\n44,1\n")
    reader = RatesReader(file, sheet="Prices")

    assert list(reader.rows()) == []
    assert "is no XLSX workbook" in reader.faults[0].message


def test_a_missing_file_is_named(file):
    with pytest.raises(SettingsError, match=r"rates\.csv: cannot be read: No such file or directory$"):
        list(read_rates(file))
