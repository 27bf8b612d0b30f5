"""Spans of the week: what people may write, what it means, and what is said of everything else."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.admin.definitions.week_spans import read_span, written_span
from billing_core.storage.definition_rows import kept_span, stored_span
from billing_core.time_profile import Span, TimeProfile

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)

MEANINGS = [
    # written                   weekdays               begin end    written again
    ("mon-fri 08:00-20:00", {0, 1, 2, 3, 4}, 480, 1200, "mon-fri 08:00-20:00"),
    ("sat 22:00-06:00", {5}, 1320, 360, "sat 22:00-06:00"),
    ("mon,wed 00:00-24:00", {0, 2}, 0, 1440, "mon,wed 00:00-24:00"),
    ("wed,mon,tue 09:30-09:30", {0, 1, 2}, 570, 570, "mon-wed 09:30-09:30"),
    ("sat-mon 23:59-00:00", {5, 6, 0}, 1439, 0, "mon,sat-sun 23:59-00:00"),
    ("mon-sun  00:00-24:00", set(range(7)), 0, 1440, "mon-sun 00:00-24:00"),
    ("Mon,Sat-Sun 10:00-11:00", {0, 5, 6}, 600, 660, "mon,sat-sun 10:00-11:00"),
    ("tue-tue,thu 10:00-11:00", {1, 3}, 600, 660, "tue,thu 10:00-11:00"),
]


@pytest.mark.parametrize(("text", "weekdays", "begin", "end", "again"), MEANINGS)
def test_a_span_means_its_days_and_minutes_and_is_written_one_way(
    text: str, weekdays: set[int], begin: int, end: int, again: str
) -> None:
    span = read_span(text)

    assert span == Span(frozenset(weekdays), begin, end)
    assert written_span(span) == again


FAULTS = [
    ("08:00-20:00", "is not a span of the week; write weekdays and hours, as in"),
    ("mon-fri", "is not a span of the week"),
    ("mon-fri 8:00-20:00", "is not a span of the week"),
    ("mon-fri 08:00-20:60", "is not a span of the week"),
    ("mon, tue 08:00-20:00", "is not a span of the week"),
    ("", "is not a span of the week"),
    ("mon 24:00-06:00", "has an hour that no clock shows; write 00:00 to 23:59, or 24:00 as the end"),
    ("mon 08:00-24:01", "has an hour that no clock shows"),
    ("mon 08:00-25:00", "has an hour that no clock shows"),
    ("mon-fry 08:00-20:00", '"fry" is not a weekday; did you mean "fri"?'),
    ("mon-wed-fri 08:00-20:00", '"mon-wed-fri" is not a range of weekdays; write the first and the last'),
]


@pytest.mark.parametrize(("text", "sentence"), FAULTS)
def test_what_is_no_span_is_told_with_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_span(text)


@given(
    st.builds(Span, st.frozensets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(0, 1440))
)
def test_every_span_is_taken_back_as_it_was(span: Span) -> None:
    assert read_span(written_span(span)) == span
    assert kept_span(stored_span(span)) == span


def test_a_span_past_midnight_ends_on_the_day_after() -> None:
    profile = TimeProfile("night", (read_span("sat 22:00-06:00"),))
    covered = [hour for hour in range(7 * 24) if profile.covers(MONDAY + timedelta(hours=hour), UTC)]

    assert covered == [*range(5 * 24 + 22, 6 * 24 + 6)]
