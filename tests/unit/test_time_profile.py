"""Times of the week, as a clock on the client's wall shows them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.time_profile import MINUTES_PER_DAY, Span, TimeProfile

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY, FRIDAY, SATURDAY, SUNDAY = 0, 4, 5, 6
NIGHT = Span(frozenset({FRIDAY}), 22 * 60, 6 * 60)


def _minutes_of_week(span: Span) -> set[int]:
    """Return every minute of the week that a span covers, the naive way: minute after minute."""
    length = (span.end_minute - span.begin_minute - 1) % MINUTES_PER_DAY + 1
    return {
        (weekday * MINUTES_PER_DAY + span.begin_minute + minute) % (7 * MINUTES_PER_DAY)
        for weekday in span.weekdays
        for minute in range(length)
    }


@given(
    st.frozensets(st.integers(0, 6)),
    st.integers(0, MINUTES_PER_DAY - 1),
    st.integers(0, MINUTES_PER_DAY),
    st.integers(0, 7 * MINUTES_PER_DAY - 1),
)
def test_a_span_covers_the_minutes_from_its_begin_until_its_end(weekdays, begin, end, minute):
    span = Span(weekdays, begin, end)

    assert span.covers(*divmod(minute, MINUTES_PER_DAY)) == (minute in _minutes_of_week(span))


@pytest.mark.parametrize(
    ("weekday", "clock", "covered"),
    [
        (FRIDAY, "21:59", False),
        (FRIDAY, "22:00", True),
        (SATURDAY, "05:59", True),
        (SATURDAY, "06:00", False),
        (SATURDAY, "22:00", False),
        (FRIDAY, "05:59", False),
    ],
)
def test_a_span_past_midnight_belongs_to_the_day_it_begins(weekday, clock, covered):
    hour, minute = map(int, clock.split(":"))

    assert NIGHT.covers(weekday, hour * 60 + minute) is covered


def test_the_night_of_sunday_ends_on_monday():
    night = Span(frozenset({SUNDAY}), 22 * 60, 6 * 60)

    assert night.covers(MONDAY, 5 * 60)
    assert not night.covers(SUNDAY, 5 * 60)


def test_a_day_of_24_hours_can_be_written_in_two_ways():
    for end in (0, MINUTES_PER_DAY):
        span = Span(frozenset({MONDAY}), 0, end)

        assert [day for day in range(7) if span.covers(day, 0)] == [MONDAY]
        assert [day for day in range(7) if span.covers(day, MINUTES_PER_DAY - 1)] == [MONDAY]


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-28", 8), ("2026-03-29", 7), ("2026-10-25", 9)],
    ids=["a usual night", "clocks go forward", "clocks go back"],
)
def test_a_night_is_as_long_as_the_clock_on_the_wall_says(day, hours):
    """The night from 22:00 of the day before until 06:00, counted in seconds that really pass."""
    profile = TimeProfile("night", (Span(frozenset(range(7)), 22 * 60, 6 * 60),))
    noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=BERLIN).astimezone(UTC)
    minutes = [noon - timedelta(minutes=minute) for minute in range(20 * 60)]

    assert sum(profile.covers(minute, BERLIN) for minute in minutes) == hours * 60


def test_an_hour_that_comes_twice_is_covered_twice():
    profile = TimeProfile("happy hour", (Span(frozenset({SUNDAY}), 2 * 60, 3 * 60),))
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    assert [profile.covers(first + timedelta(hours=hours), BERLIN) for hours in (-1, 0, 1, 2)] == [
        False,
        True,
        True,
        False,
    ]


def test_an_hour_that_is_left_out_covers_nothing():
    profile = TimeProfile("happy hour", (Span(frozenset({SUNDAY}), 2 * 60, 3 * 60),))
    midnight = datetime(2026, 3, 28, 23, tzinfo=UTC)

    assert not any(profile.covers(midnight + timedelta(minutes=minute), BERLIN) for minute in range(12 * 60))


def test_a_profile_covers_what_any_of_its_spans_covers():
    profile = TimeProfile("x", (Span(frozenset({MONDAY}), 0, 60), Span(frozenset({MONDAY}), 120, 180)))
    monday = datetime(2026, 3, 2, tzinfo=UTC)

    covered = [hour for hour in range(24) if profile.covers(monday + timedelta(hours=hour), UTC)]
    assert covered == [0, 2]
