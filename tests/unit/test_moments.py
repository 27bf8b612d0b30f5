"""The times of a record in a zone whose clock is put back and forward: no call ends before its answer."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from billing_core.report import Kind
from radiusd.codec import encode
from radiusd.dialects import DIALECTS
from radiusd.dialects.moments import Moments, moments
from radiusd.dialects.reader import Reader
from radiusd.wire import Code, Frame

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ZONES = ("Europe/Rome", "America/New_York", "Australia/Lord_Howe", "America/Santiago")
# Hours about the days on which those clocks are put back or forward, and others.
STARTS = st.sampled_from(
    [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 29), (4, 5), (7, 1), (10, 25), (11, 1))]
)


def read(connect_at: datetime, disconnect_at: datetime, zone: ZoneInfo, form: str) -> Moments:
    octets = [
        encode(name, f"{name}={at.astimezone(zone):{form}}")
        for name, at in (("h323-connect-time", connect_at), ("h323-disconnect-time", disconnect_at))
    ]
    pairs = tuple((attribute[0], attribute[2:]) for attribute in octets)
    frame = Frame(Code.ACCOUNTING_REQUEST, 1, bytes(16), b"", pairs, None)
    return moments(Reader(frame, DIALECTS["cisco"]), Kind.STOP, zone, NOW)


@given(
    start=STARTS,
    offset=st.integers(0, 24 * 3600),
    seconds=st.integers(1, 7200).filter(lambda seconds: seconds % 1800),
    name=st.sampled_from(ZONES),
)
@example(datetime(2026, 10, 25, tzinfo=UTC), 3000, 1200, "Europe/Rome")
@example(datetime(2026, 10, 25, tzinfo=UTC), 3000, 3599, "Europe/Rome")
def test_an_answered_call_has_a_duration_though_its_hour_comes_twice(
    start: datetime, offset: int, seconds: int, name: str
) -> None:
    connect_at = start + timedelta(seconds=offset)
    told = read(connect_at, connect_at + timedelta(seconds=seconds), ZoneInfo(name), "%Y-%m-%d %H:%M:%S")

    assert told.connect_at
    assert told.disconnect_at
    assert told.disconnect_at > told.connect_at


@given(
    start=STARTS,
    offset=st.integers(0, 24 * 3600),
    seconds=st.integers(0, 7200),
    name=st.sampled_from(ZONES[:2]),
)
def test_names_of_zones_tell_the_duration_exactly(
    start: datetime, offset: int, seconds: int, name: str
) -> None:
    connect_at = start + timedelta(seconds=offset)
    disconnect_at = connect_at + timedelta(seconds=seconds)
    told = read(connect_at, disconnect_at, ZoneInfo(name), "%H:%M:%S.000 %Z %a %b %d %Y")

    assert (told.connect_at, told.disconnect_at) == (connect_at, disconnect_at)
