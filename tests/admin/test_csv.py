"""`billing xdrs --csv`: every column, exact quoting, and nothing that a spreadsheet would run."""

import csv
import os
import stat
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from billing_command import Billing
from calls import NOON, stop
from traffic import define, handle, place

from billing_core.admin.csv_export import cell, write_csv
from billing_core.storage.tables import xdr


@pytest.fixture
def busy(billing: Billing) -> Billing:
    define(billing)
    place(billing)
    return billing


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def test_all_columns_of_every_record_are_written(busy: Billing) -> None:
    found = read(busy("xdrs", "--csv").out)
    listed = busy("xdrs", "--json").document

    assert [row["call_id"] for row in found] == [item["call_id"] for item in listed]
    hidden = {"leg_key", "client_id", "account_id"}
    assert found[0].keys() == {"client", "account", "id"} | {column.name for column in xdr.columns} - hidden
    as_text = [{key: "" if value is None else str(value) for key, value in item.items()} for item in listed]
    assert found == as_text


@pytest.mark.parametrize(
    "text", ["=1+1", "+39 06", "+1+1", "-5", "@SUM(A1)", "\t1", "\r1", "-", " =1", "\uff1d1+1"]
)
def test_a_text_that_a_spreadsheet_would_run_is_guarded(text: str) -> None:
    assert cell(text) == f"'{text}"


FORMULAS = {
    # what a stranger sent: what stands in the cell, whatever separates cells where it is opened
    "x;=1+1": "x;'=1+1",
    'x; "=1+1"': 'x; "\'=1+1"',
    "x\t=1+1": "x\t'=1+1",
    "x|@A1": "x|'@A1",
    "x,+1": "x,'+1",
    "\n=1+1": "\n'=1+1",
    '";=1+1;"': '";\'=1+1;"',
    "a;b;-1": "a;b;'-1",
}


@pytest.mark.parametrize(("text", "written"), FORMULAS.items())
def test_a_formula_is_guarded_at_every_separator(text: str, written: str) -> None:
    assert cell(text) == written


def test_no_separator_of_any_spreadsheet_makes_a_formula_begin_a_cell() -> None:
    file = StringIO(newline="")
    write_csv(file, [{"x": text, "y": f"{text};{text}"} for text in FORMULAS], ("x", "y"))

    for separator in ",;\t|":
        cells = [
            found
            for line in csv.reader(StringIO(file.getvalue(), newline=""), delimiter=separator)
            for found in line
        ]
        assert [found for found in cells if found.lstrip(' "')[:1] in ("=", "+", "-", "@")] == []


@pytest.mark.parametrize(("value", "written"), [
    (Decimal("-0.610000"), "-0.610000"), (-5, "-5"), (None, ""), (NOON, "2026-03-02T12:00:00Z"),
    ("39", "39"), ("+442071234567", "+442071234567"), ("a=b", "a=b"), ("", ""), (Decimal("0E-6"), "0.000000"),
])  # fmt: skip
def test_numbers_times_and_other_texts_stay_as_they_are(value: object, written: str) -> None:
    assert cell(value) == written


def test_quotes_commas_and_line_ends_survive() -> None:
    text = 'a "b", c\r\nd\ne'
    file = StringIO(newline="")

    count = write_csv(file, [{"x": text, "y": "=2"}], ("x", "y"))

    assert file.getvalue() == 'x,y\r\n"a ""b"", c\r\nd\ne",\'=2\r\n'
    assert (count, read(file.getvalue())) == (1, [{"x": text, "y": "'=2"}])


def test_what_a_stranger_sent_cannot_become_a_formula(busy: Billing) -> None:
    evil = '=HYPERLINK("http://example.com","x")'
    handle(busy, stop(5, evil, calling="+39 06", disconnect_cause="@x"), now=NOON + timedelta(seconds=500))

    [row] = [row for row in read(busy("xdrs", "--csv").out) if "HYPERLINK" in row["call_id"]]

    assert (row["call_id"], row["calling"], row["disconnect_cause"]) == ("'" + evil, "'+39 06", "'@x")


def test_no_record_still_has_a_header(billing: Billing) -> None:
    out = billing("xdrs", "--csv").out

    assert out.startswith("client,account,")
    assert out.endswith("\r\n")
    assert out.count("\r\n") == 1


def test_a_file_is_written_whole_and_counted(busy: Billing) -> None:
    path = busy.directory / "march.csv"

    result = busy("xdrs", "--csv", str(path))

    assert (result.code, result.out) == (0, f"{path}: 4 records\n")
    assert path.read_bytes().decode() == busy("xdrs", "--csv").out
    assert list(busy.directory.glob("*.part")) == []


def test_what_is_no_file_is_written_to_and_never_replaced(busy: Billing) -> None:
    pipe = busy.directory / "pipe"
    os.mkfifo(pipe)

    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    piped = busy("xdrs", "--csv", str(pipe))
    through_pipe = os.read(reader, 1 << 16)
    os.close(reader)

    assert (piped.code, pipe.is_fifo()) == (0, True)
    assert through_pipe == busy("xdrs", "--csv").out.encode()
    assert list(busy.directory.glob("*.part")) == []


def test_no_link_leads_to_a_file_of_somebody_else(busy: Billing) -> None:
    others = busy.directory / "others"
    others.write_text("theirs", encoding="utf-8")
    path = busy.directory / "march.csv"
    path.with_name("march.csv.part").symlink_to(others)
    link = busy.directory / "link.csv"
    link.symlink_to(others)
    dangling = busy.directory / "dangling.csv"
    dangling.symlink_to(busy.directory / "nothing")

    written, refused = busy("xdrs", "--csv", str(path)), busy("xdrs", "--csv", str(link))

    assert (written.code, path.is_symlink()) == (0, False)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == f"{link}: is a link; name the file itself: {others}, or - to print the list\n"
    assert busy("xdrs", "--csv", str(dangling)).err.startswith(
        f"{dangling}: is a link; name the file itself: "
    )
    assert dangling.is_symlink()
    assert others.read_text(encoding="utf-8") == "theirs"


def test_a_file_is_for_who_wrote_it_or_stays_for_whom_it_was(busy: Billing) -> None:
    path, shared = busy.directory / "march.csv", busy.directory / "shared.csv"
    shared.touch(mode=0o640)
    shared.chmod(0o640)

    busy("xdrs", "--csv", str(path))
    busy("xdrs", "--csv", str(shared))

    assert [stat.S_IMODE(file.stat().st_mode) for file in (path, shared)] == [0o600, 0o640]


def test_a_file_that_cannot_be_written_is_told(busy: Billing) -> None:
    path = busy.directory / "none" / "march.csv"

    result = busy("xdrs", "--csv", str(path))

    assert (result.code, result.out) == (1, "")
    assert result.err == f"{path}: cannot be written: No such file or directory\n"


def test_a_period_ends_before_its_last_moment(busy: Billing) -> None:
    def calls(*options: str) -> set[str]:
        return {row["call_id"] for row in read(busy("xdrs", "--csv", *options).out)}

    everything = calls()
    dated = {item["call_id"]: item["dated_at"] for item in busy("xdrs", "--json").document}
    assert everything == {"done", "corrected", "stranger"}
    assert dated["corrected"] < dated["done"]
    assert calls("--to", dated["done"]) == {"corrected"}
    assert calls("--from", dated["done"]) == {"done", "stranger"}
    assert calls("--from", dated["corrected"], "--to", "2026-03-03") == everything


def test_one_clients_records_only(busy: Billing) -> None:
    assert {row["client"] for row in read(busy("xdrs", "--csv", "--client", "Vendor").out)} == {"Vendor"}


def test_csv_and_json_exclude_each_other(busy: Billing) -> None:
    result = busy("xdrs", "--csv", "--json")

    assert (result.code, result.out) == (1, "")
    assert result.err == "--csv and --json exclude each other: choose one\n"


def test_unbillable_records_have_a_reason_in_the_csv(busy: Billing) -> None:
    [row] = read(busy("xdrs", "--csv", "--unbillable").out)

    assert (row["call_id"], row["reason"], row["client"]) == ("stranger", "no_account", "")
