"""Times as Cisco's gateways and their many imitators write them: `12:34:56.789 UTC Mon Nov 23 2026`."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_MONTHS = {
    month: number
    for number, month in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}

# The weekday is not looked at: manuals and switches get it wrong.
_TIME = re.compile(
    r"(?P<mark>[*.]?)(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?"
    r" (?P<zone>[A-Za-z0-9+-]{1,10}) [A-Za-z]{3} (?P<month>[A-Z][a-z]{2}) {1,2}(?P<day>[0-9]{1,2})"
    r" (?P<year>[0-9]{4})",
    re.ASCII,
)
_OFFSET = re.compile(r"(?:GMT|UTC)?(?P<sign>[+-])(?P<hours>[0-9]{1,2})", re.ASCII)


def h323_time(text: str | None, named_zone: tzinfo) -> datetime | None:
    """Return the instant that *text* writes, or None when it can't be told.

    `GMT+4` is four hours east of Greenwich. Any other zone's name is ambiguous, so the switch's
    configured *named_zone* stands for it. A leading `.` (not synchronised) is passed over; after a
    leading `*` the clock was never set, and the time means nothing.
    """
    match = _TIME.fullmatch(text) if text else None
    if match is None or match["mark"] == "*" or match["month"] not in _MONTHS:
        return None
    try:
        return datetime(
            int(match["year"]),
            _MONTHS[match["month"]],
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            int(match["second"]),
            int((match["fraction"] or "0").ljust(6, "0")),
            tzinfo=_zone(match["zone"], named_zone),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(name: str, named_zone: tzinfo) -> tzinfo:
    if name in ("UTC", "GMT", "Z"):
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is None:
        return named_zone
    hours = int(offset["hours"])
    return timezone(timedelta(hours=hours if offset["sign"] == "+" else -hours))
