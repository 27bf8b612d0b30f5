"""The reader of times. The first octet chooses the zone of the switch, the rest is the text."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from radiusd.h323_time import h323_time

_ZONES = tuple(ZoneInfo(name) for name in ("UTC", "Europe/Helsinki", "America/New_York", "Asia/Kathmandu"))
_EARLIEST = datetime(1970, 1, 3, tzinfo=UTC)


def check(octets: bytes) -> None:
    """Read a text as a time in several ways that must agree."""
    zone = _ZONES[octets[0] % len(_ZONES)] if octets else _ZONES[0]
    text = octets[1:254].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    at = h323_time(text, zone)
    if at is None:
        return
    assert at.utcoffset() == timedelta(0), f"{at} is not in UTC"
    assert at >= _EARLIEST
    assert text.isascii(), "digits of other scripts are no time of a switch"
    assert h323_time(at.isoformat(), zone) == at, "what we write is not what we read"
