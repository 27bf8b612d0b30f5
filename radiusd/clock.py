"""The only place that reads clocks: everything else is given the time."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the time of day, in UTC."""
    return datetime.now(UTC)


def nanoseconds() -> int:
    """Return the time of day as the kernel writes it on datagrams."""
    return time.time_ns()


def sleep(seconds: float) -> None:
    """Wait so long."""
    time.sleep(seconds)


def monotonic_seconds() -> float:
    """Return the seconds of a clock that nobody sets."""
    return time.monotonic()
