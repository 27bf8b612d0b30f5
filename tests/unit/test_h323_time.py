"""Times in every form that a switch was seen to write, by a table that a person can read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd.h323_time import h323_time, readings

VECTORS = Path(__file__).parents[1] / "vectors" / "times.txt"
ROWS = [
    tuple(part.strip() for part in line.split("|"))
    for line in VECTORS.read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize(("text", "zone", "instant"), ROWS)
def test_a_time_is_read_as_the_vectors_say_p_110_b_075(text: str, zone: str, instant: str) -> None:
    expected = None if instant == "-" else datetime.fromisoformat(instant)

    assert h323_time(text, ZoneInfo(zone)) == expected


@given(
    st.text(st.characters(exclude_categories=("Cs",))) | st.from_regex(r"[0-9:. T_+-]{0,40}", fullmatch=True)
)
def test_no_text_raises_and_what_is_read_is_in_utc(text: str) -> None:
    at = h323_time(text, UTC)

    assert at is None or at.tzinfo is UTC


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 - the zone is added below
def test_what_is_written_in_any_form_is_read_as_the_same_instant(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    forms = [
        f"{at:%H:%M:%S.%f} UTC {at:%a %b} {at.day} {at.year}",
        at.isoformat(timespec="microseconds"),
        f"{int(at.timestamp())}.{at.microsecond:06}",
    ]

    assert [h323_time(form, ZoneInfo("Asia/Kolkata")) for form in forms] == [at] * 3


ZONES = st.sampled_from(("UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"))
INSTANTS = st.integers(0, 10 * 365 * 86_400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@given(INSTANTS, ZONES)
def test_a_local_time_may_mean_the_instant_at_which_it_was_written(at: datetime, name: str) -> None:
    local = at.astimezone(ZoneInfo(name))
    found = readings(f"{local:%Y-%m-%d %H:%M:%S}", ZoneInfo(name))

    assert at in found
    assert list(found) == sorted(found)
    assert len(found) <= 2


@given(INSTANTS, ZONES)
def test_a_zone_that_names_its_two_hours_differently_is_read_as_it_was_written(
    at: datetime, name: str
) -> None:
    local = at.astimezone(ZoneInfo(name))
    first, second = local.replace(fold=0), local.replace(fold=1)
    has_names = first.tzname() != second.tzname() or first.utcoffset() == second.utcoffset()
    text = f"{local:%H:%M:%S.000} {local.tzname()} {local:%a %b} {local.day} {local.year}"

    assert not has_names or h323_time(text, ZoneInfo(name)) == at
