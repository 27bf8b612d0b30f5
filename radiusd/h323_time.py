"""Times as switches write them: Cisco's `12:34:56.789 UTC Mon Nov 23 2026`, ISO 8601 and its kin, Unix time.

Every form is told apart by its looks, so that no switch needs a setting for it.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

_MONTHS = {
    month: number
    for number, month in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}

_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?"

# The weekday is not looked at: manuals and switches get it wrong.
_CISCO = re.compile(
    rf"(?P<mark>[*.]?){_CLOCK}"
    r" (?P<zone>[A-Za-z0-9+-]{1,10}) [A-Za-z]{3} (?P<month>[A-Z][a-z]{2}) {1,2}(?P<day>[0-9]{1,2})"
    r" (?P<year>[0-9]{4})",
    re.ASCII,
)
_ISO = re.compile(
    rf"(?P<year>[0-9]{{4}})-(?P<month>[0-9]{{2}})-(?P<day>[0-9]{{2}})[T _]{_CLOCK}"
    r" ?(?P<zone>Z|[+-][0-9]{2}:?-?[0-9]{2,4})?",
    re.ASCII,
)
_DATED = ("year", "day", "hour", "minute", "second", "fraction")
_UNIX = re.compile(r"(?P<seconds>[0-9]{1,11})(?:\.(?P<fraction>[0-9]{1,9}))?", re.ASCII)
_GMT_OFFSET = re.compile(r"(?:GMT|UTC)?(?P<sign>[+-])(?P<hours>[0-9]{1,2})", re.ASCII)
_ISO_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>[0-9]{2}):?-?(?P<rest>[0-9]{2,4})", re.ASCII)

# Some switches write the epoch for what has not happened: an answer that never came.
_NEVER_BEFORE = datetime(1970, 1, 3, tzinfo=UTC)


def h323_time(text: str | None, named_zone: tzinfo) -> datetime | None:
    """Return the instant that *text* writes, or None when it can't be told or never came.

    `GMT+4` is four hours east of Greenwich. Any other zone's name is ambiguous, so the switch's
    configured *named_zone* stands for it, and for a time without a zone. A leading `.` (not
    synchronised) is passed over; after a leading `*` the clock was never set, and the time means nothing.
    Of a local time that occurs twice it is the first, unless the zone's name is that of the second.
    """
    found = readings(text, named_zone)
    return found[0] if found else None


# A Stop writes the times of its Start again.
@lru_cache(maxsize=1024)
def readings(text: str | None, named_zone: tzinfo) -> tuple[datetime, ...]:
    """Return the instants that *text* may write, the likeliest first: none, one, or two.

    Two are those of a local time that occurs twice because a clock is put back, or not at all because it is
    put forward, where the text has no name that the zone uses for one of them only.
    """
    if not text:
        return ()
    try:
        found = _instants(text, named_zone)
    except (ValueError, OverflowError):
        return ()
    return found if found and min(found) >= _NEVER_BEFORE else ()


def _instants(text: str, named_zone: tzinfo) -> tuple[datetime, ...]:
    if match := _CISCO.fullmatch(text):
        if match["mark"] == "*" or match["month"] not in _MONTHS:
            return ()
        zone = match["zone"]
        return _dated(match, _MONTHS[match["month"]], _zone(zone, named_zone), zone)
    if match := _ISO.fullmatch(text):
        return _dated(match, int(match["month"]), _offset(match["zone"], named_zone))
    if match := _UNIX.fullmatch(text):
        whole = datetime.fromtimestamp(int(match["seconds"]), UTC)
        return (whole + timedelta(microseconds=_microseconds(match["fraction"])),)
    return ()


def _dated(match: re.Match[str], month: int, zone: tzinfo, name: str = "") -> tuple[datetime, ...]:
    year, day, hour, minute, second, fraction = match.group(*_DATED)
    microseconds = _microseconds(fraction)
    local = datetime(int(year), month, int(day), int(hour), int(minute), int(second), microseconds, zone)
    if zone is UTC:
        return (local,)
    again = local if isinstance(zone, timezone) else local.replace(fold=1)
    if local.utcoffset() == again.utcoffset():
        return (local.astimezone(UTC),)
    both = (local, again)
    named = [at for at in both if at.tzname() == name]
    return tuple(at.astimezone(UTC) for at in named or both)


def _microseconds(fraction: str | None) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _zone(name: str, named_zone: tzinfo) -> tzinfo:
    if name in ("UTC", "GMT", "Z"):
        return UTC
    offset = _GMT_OFFSET.fullmatch(name)
    if offset is None:
        return named_zone
    return _east(offset["sign"], int(offset["hours"]) * 3600)


def _offset(text: str | None, named_zone: tzinfo) -> tzinfo:
    """Return the zone of an offset. FreeSWITCH writes seconds where minutes belong: +05:30 is `+051800`."""
    offset = _ISO_OFFSET.fullmatch(text) if text else None
    if offset is None:
        return UTC if text else named_zone
    rest = offset["rest"]
    seconds = int(rest) * 60 if len(rest) == 2 else int(rest)
    return _east(offset["sign"], int(offset["hours"]) * 3600 + seconds)


def _east(sign: str, seconds: int) -> tzinfo:
    return timezone(timedelta(seconds=seconds if sign == "+" else -seconds))
