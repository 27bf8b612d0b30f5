"""Spans of the week as people write them: `mon-fri 08:00-20:00`."""

import re
from collections.abc import Sequence

from billing_core.settings import nearest
from billing_core.time_profile import MINUTES_PER_DAY, Span

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(
    r"(?P<days>[a-z]+(?:[-,][a-z]+)*) +(?P<begin>[0-9]{2}:[0-5][0-9])-(?P<end>[0-9]{2}:[0-5][0-9])"
)


def read_span(text: str) -> Span:
    """Return the span that *text* writes: weekdays, ranges and lists of them, and hours.

    It may end at 24:00, and runs past midnight when it ends no later than it begins. Raises ValueError.
    """
    match = _SPAN.fullmatch(text.lower())
    if match is None:
        raise ValueError(
            f'"{text}" is not a span of the week; write weekdays and hours, as in "mon-fri 08:00-20:00"'
            ' or "sat,sun 22:00-06:00"'
        )
    begin, end = _minute(match["begin"]), _minute(match["end"])
    if begin >= MINUTES_PER_DAY or end > MINUTES_PER_DAY:
        raise ValueError(
            f'"{text}" has an hour that no clock shows; write 00:00 to 23:59, or 24:00 as the end'
        )
    return Span(frozenset(_weekdays(match["days"])), begin, end)


def written_span(span: Span) -> str:
    """Return *span* as `read_span` reads it; one span is always written the same way."""
    return f"{_days(sorted(span.weekdays))} {_clock(span.begin_minute)}-{_clock(span.end_minute)}"


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _weekdays(days: str) -> set[int]:
    """Return the days of ranges and single days; a range may go over the end of the week."""
    found: set[int] = set()
    for part in days.split(","):
        first, *rest = [_weekday(day) for day in part.split("-")]
        if len(rest) > 1:
            raise ValueError(
                f'"{part}" is not a range of weekdays; write the first and the last, as in "mon-fri"'
            )
        last = rest[0] if rest else first
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return found


def _weekday(day: str) -> int:
    if day not in _DAYS:
        raise ValueError(f'"{day}" is not a weekday{nearest(day, _DAYS)}')
    return _DAYS.index(day)


def _days(weekdays: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for day in weekdays:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(_DAYS[run[0]] + (f"-{_DAYS[run[-1]]}" if len(run) > 1 else "") for run in runs)
