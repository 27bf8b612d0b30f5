"""What accounting told of a leg: moments, durations, and how it ended."""

from datetime import datetime
from typing import NamedTuple

from billing_core.money import DEFAULT_ROUNDING, Rounding


class Facts(NamedTuple):
    """What accounting told of a leg. Facts only accumulate, so their order cannot matter.

    `*_at` without event are what the switch dated itself; `start_event_at` and `stop_event_at`
    are the dates of the Start and Stop records. `start_heard_at` is when by our clock a Start came, less
    the delay that it told if `start_delay_told`. Seconds are durations since the answer;
    `overrun_seconds` are what a Stop told that cannot be true. `answered` tells that a Start or an
    Interim said so.
    """

    setup_at: datetime | None = None
    connect_at: datetime | None = None
    disconnect_at: datetime | None = None
    start_event_at: datetime | None = None
    stop_event_at: datetime | None = None
    known_seconds: int = 0
    stop_seconds: int | None = None
    overrun_seconds: int | None = None
    answered: bool = False
    stopped: bool = False
    failed: bool = False
    disconnect_cause: str | None = None
    start_heard_at: datetime | None = None
    start_delay_told: bool = False

    @property
    def ended(self) -> bool:
        """Tell whether a Stop or a Failed record was received."""
        return self.stopped or self.failed

    @property
    def is_overrun(self) -> bool:
        """Tell whether all that is known of the duration is more than can be true."""
        return self.stop_seconds is None and self.overrun_seconds is not None

    def duration_seconds(self, rounding: Rounding = DEFAULT_ROUNDING) -> int | None:
        """Return how long the call was answered, or None when the records do not tell.

        The session time of a Stop wins wherever it is present. A Failed record means zero where nothing
        says that the call was answered. An end before its answer tells nothing.
        """
        if self.stop_seconds is not None:
            return self.stop_seconds
        if self.overrun_seconds is not None:
            return self.overrun_seconds
        if not self.stopped:
            return 0 if self.failed and not self.answered else None
        if self.connect_at and self.disconnect_at:
            return _between(self.connect_at, self.disconnect_at, rounding)
        if self.start_event_at and self.stop_event_at:
            return _between(self.start_event_at, self.stop_event_at, rounding)
        return None

    def least_seconds(self, closed_at: datetime | None = None) -> int:
        """Return how long the call lasted at least by all but its Stop's session time.

        Where the switch dates nothing, by our clock: from its Start to *closed_at*, when its Stop came.
        Without that only what was told counts.
        """
        pairs = [(self.connect_at, self.disconnect_at), (self.start_event_at, self.stop_event_at)]
        spans = [int((last - first).total_seconds()) for first, last in pairs if first and last]
        if not spans and self.answered and self.start_heard_at and closed_at:
            spans = [int((closed_at - self.start_heard_at).total_seconds())]
        return max([self.known_seconds, *spans])


def _between(answered_at: datetime, ended_at: datetime, rounding: Rounding) -> int | None:
    return rounding.whole_seconds(ended_at - answered_at) if ended_at >= answered_at else None
