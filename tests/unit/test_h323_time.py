"""Times in every form that a switch was seen to write, by a table that a person can read."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd.h323_time import h323_time

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
