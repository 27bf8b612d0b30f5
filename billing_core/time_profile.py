"""Times of the week at which a rate holds, read on the client's own clock."""

from dataclasses import dataclass
from datetime import datetime, tzinfo

MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Span:
    """From `begin_minute` to before `end_minute` of these weekdays (Monday is 0).

    A span that ends no later than it begins runs past midnight, into the day after.
    """

    weekdays: frozenset[int]
    begin_minute: int
    end_minute: int

    def covers(self, weekday: int, minute: int) -> bool:
        """Tell whether it covers a minute of a day of the week."""
        if self.begin_minute < self.end_minute:
            return weekday in self.weekdays and self.begin_minute <= minute < self.end_minute
        if minute >= self.begin_minute:
            return weekday in self.weekdays
        return minute < self.end_minute and (weekday - 1) % 7 in self.weekdays


@dataclass(frozen=True, slots=True)
class TimeProfile:
    """A name for some spans of the week, such as `peak`."""

    name: str
    spans: tuple[Span, ...]

    def covers(self, at: datetime, zone: tzinfo) -> bool:
        """Tell whether *at* is in one of its spans, by what a clock on a wall in *zone* shows."""
        local = at.astimezone(zone)
        minute = local.hour * 60 + local.minute
        return any(span.covers(local.weekday(), minute) for span in self.spans)
