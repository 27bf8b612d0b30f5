"""The reader of rates in CSV: rates, or faults with their lines, and nothing else."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from billing_core.number import normalise
from billing_core.rates_file import RateRow, read_rates
from billing_core.settings import SettingsError
from fuzz.targets.files import check_faults, written

_PRICE_MAX = Decimal(10**9)


def check(octets: bytes) -> None:
    """Read a file that begins as it may, as long as it is no workbook."""
    if octets.startswith(b"PK\x03\x04"):
        return
    lines = octets.split(b"\n")
    for row in check_file(written("rates.csv", octets), len(lines)):
        assert row.code.encode() in lines[row.line - 1], f"{row.code} is not on line {row.line}"


def check_file(path: Path, lines: int) -> list[RateRow]:
    """Read a rates file, which has so many *lines*; return its rates, none when there are faults."""
    rows: list[RateRow] = []
    try:
        rows.extend(read_rates(path))
    except SettingsError as error:
        check_faults(error, lines)
        return []
    assert rows, "no rates, and nothing was said"
    assert len({(row.code, row.effective_from, row.time_profile) for row in rows}) == len(rows)
    for row in rows:
        _check_row(row, lines)
    return rows


def _check_row(row: RateRow, lines: int) -> None:
    assert 1 < row.line <= lines
    assert normalise(row.code) == row.code, f"{row.code!r} is never dialled like that"
    for amount in (row.price_per_minute, row.setup_fee):
        assert amount.is_finite()
        assert -_PRICE_MAX < amount < _PRICE_MAX
    assert row.setup_fee >= 0
    assert 0 <= row.min_volume_seconds <= 86_400
    assert 1 <= row.interval_seconds <= 86_400
    assert 0 <= row.grace_seconds <= 86_400
    assert row.destination.isprintable()
    for moment in (row.effective_from, row.end_date):
        assert moment is None or moment.utcoffset() == timedelta(0)
    if row.effective_from and row.end_date:
        assert row.effective_from < row.end_date
    assert row.number_length_max == 0 or row.number_length_min <= row.number_length_max
