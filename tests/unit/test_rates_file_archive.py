"""The gate before a workbook is opened: what is too large is told by its measure, and cheaply."""

import io
import tracemalloc
import zipfile

import pytest

from billing_core.rates_file import archive
from billing_core.rates_file.archive import excess

SHEET = "xl/worksheets/sheet1.xml"
NS = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def packed(members: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    file.seek(0)
    return file


def sheet(rows: str) -> bytes:
    return f"<worksheet {NS}><sheetData>{rows}</sheetData></worksheet>".encode()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little be much, so that nothing here takes long."""
    monkeypatch.setattr(archive, "UNPACKED_MAX", 3 * 1024 * 1024)
    monkeypatch.setattr(archive, "MEMBERS_MAX", 5)
    monkeypatch.setattr(archive, "ROW_ELEMENTS_MAX", 1000)
    monkeypatch.setattr(archive, "ELEMENTS_MAX", 5000)
    monkeypatch.setattr(archive, "TEXT_MAX", 10_000)
    monkeypatch.setattr(archive, "_TOKEN_OCTETS_MAX", 200_000)


MUCH = {
    "one member": {"a.bin": bytes(4 * 1024 * 1024)},
    "several members": {"a.bin": bytes(2 * 1024 * 1024), "b.bin": bytes(2 * 1024 * 1024)},
    "members": {f"{number}.xml": b"<a/>" for number in range(6)},
    "a wide row": {SHEET: sheet("<row>" + "<c/>" * 1001 + "</row>")},
    "a wide row of another spelling": {
        SHEET: f"<x:worksheet xmlns:x='x'><x:row>{'<x:c/>' * 1001}</x:row></x:worksheet>".encode()
    },
    "a long text": {SHEET: sheet(f"<row><c><v>{'x' * 10_001}</v></c></row>")},
    "a long attribute": {SHEET: sheet(f'<row><c r="{"x" * 500_000}"/></row>')},
    "many texts": {"xl/sharedStrings.xml": b"<sst>" + b"<si><t/></si>" * 2501 + b"</sst>"},
    "entities": {SHEET: b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet/>'},
}
TOLD = {
    "one member": "unpacks to more than 3 megabytes, the most that is opened",
    "several members": "unpacks to more than 3 megabytes, the most that is opened",
    "members": "is an archive of 6 files, more than 5",
    "a wide row": f"holds one row of more than 1,000 cells ({SHEET})",
    "a wide row of another spelling": f"holds one row of more than 1,000 cells ({SHEET})",
    "a long text": f"holds one value of more than 10,000 characters ({SHEET})",
    "a long attribute": f"holds one value of more than 10,000 characters ({SHEET})",
    "many texts": "holds one table of more than 5,000 cells (xl/sharedStrings.xml)",
    "entities": f"declares entities, which no workbook does ({SHEET})",
}


@pytest.mark.parametrize("kind", MUCH)
def test_what_is_too_much_is_told_with_its_measure_and_the_cure(kind: str) -> None:
    file = packed(MUCH[kind])

    assert excess(file) == f"{TOLD[kind]}; take out what is no rate, or give it in parts or as CSV"
    assert file.tell() == 0


def test_what_takes_too_long_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SECONDS_MAX", 2)
    monkeypatch.setattr(archive, "_ELEMENTS_A_SECOND", 1000)
    other = "xl/worksheets/sheet2.xml"

    assert excess(packed({SHEET: sheet("<row/>" * 1000), other: sheet("<row/>" * 900)})) is None
    told = excess(packed({SHEET: sheet("<row/>" * 1000), other: sheet("<row/>" * 1100)}))

    assert told is not None
    assert told.startswith("takes more than 2 seconds to look through; ")


def test_many_rows_of_a_few_cells_are_welcome() -> None:
    rows = "<row><c><v>1</v></c></row>" * 20_000

    assert excess(packed({SHEET: sheet(rows), "xl/media/logo.png": bytes(1000)})) is None


def test_a_size_that_lies_is_found_out() -> None:
    content = bytearray(packed({"a.bin": bytes(4 * 1024 * 1024)}).getvalue())
    real = (4 * 1024 * 1024).to_bytes(4, "little")
    assert content.count(real) == 2
    lying = bytes(content.replace(real, (100).to_bytes(4, "little")))

    with pytest.raises(zipfile.BadZipFile):
        excess(io.BytesIO(lying))


def test_what_is_no_xml_is_left_to_who_reads_it() -> None:
    assert excess(packed({SHEET: b"<worksheet><row><c></row>" + b"<c/>" * 2000})) is None


def test_looking_keeps_nothing() -> None:
    file = packed({SHEET: sheet("<row><c><v>1</v></c></row>" * 100_000)})
    tracemalloc.start()

    assert excess(file) is None

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024 * 1024
