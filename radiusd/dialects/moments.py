"""When a record's call began, was answered and ended, and how long it lasted, as the switch tells it."""

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise, product
from typing import NamedTuple

from billing_core.report import Kind
from radiusd.dialects.dialect import EventForm, EventTime, StartMeans, Unit
from radiusd.dialects.reader import Reader
from radiusd.h323_time import h323_time, readings

# Some switches write a Unix time into Acct-Delay-Time; a longer delay than a day is not believed.
_DELAY_SECONDS_MAX = 86_400
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD_MAX = timedelta(days=1)
_DURATION_MAX = 2**32 - 1


class Moments(NamedTuple):
    """The times of one record. `event_at` is its own date, absent when nothing in it is a date."""

    event_at: datetime | None
    setup_at: datetime | None
    connect_at: datetime | None
    disconnect_at: datetime | None
    session_seconds: int | None


def moments(reader: Reader, kind: Kind, zone: tzinfo, now: datetime) -> Moments:
    """Read the times of a record of that *kind*; *zone* is meant where the switch names none we know."""
    ends = kind in (Kind.STOP, Kind.FAILED)
    setup_at, connect_at, disconnect_at = _in_order(
        _told(reader, "setup_time", zone, now),
        _told(reader, "connect_time", zone, now),
        # Until the end there is none: what an Interim says of it is a guess, or garbage.
        _told(reader, "disconnect_time", zone, now) if ends else (),
    )
    seconds = _duration(reader, kind, connect_at, now)
    event_at = event_time(reader, now)
    if kind is Kind.START:
        if reader.dialect.start_means is StartMeans.SETUP:
            setup_at = setup_at or event_at
        return Moments(event_at or connect_at or setup_at, setup_at, connect_at, None, seconds)
    if ends and event_at and reader.dialect.event_time is EventTime.CALL_START:
        connect_at = connect_at or event_at
        event_at = _plausible(event_at + timedelta(seconds=seconds), now) if seconds is not None else None
        disconnect_at = disconnect_at or event_at
    if _is_unanswered(reader, kind, seconds, connect_at):
        connect_at = disconnect_at
    return Moments(event_at or disconnect_at, setup_at, connect_at, disconnect_at, seconds)


def event_time(reader: Reader, now: datetime) -> datetime | None:
    """Return the date in Event-Timestamp, unless no sane clock can have made it."""
    seconds = reader.attributes.integer("Event-Timestamp")
    if seconds is not None:
        return _plausible(datetime.fromtimestamp(seconds, UTC), now)
    if reader.dialect.event_form is EventForm.TEXT:
        return _plausible(h323_time(reader.attributes.text("Event-Timestamp"), UTC), now)
    return None


def delay_seconds(reader: Reader) -> int:
    """Return how long the record waited in the switch, as far as that can be believed."""
    return _believed_delay(reader) or 0


def is_delay_told(reader: Reader) -> bool:
    """Tell whether the record says how long it waited in the switch, and can be believed."""
    return _believed_delay(reader) is not None


def _believed_delay(reader: Reader) -> int | None:
    seconds = reader.attributes.integer("Acct-Delay-Time")
    is_believed = reader.dialect.trust_delay and seconds is not None and seconds <= _DELAY_SECONDS_MAX
    return seconds if is_believed else None


def _told(reader: Reader, what: str, zone: tzinfo, now: datetime) -> tuple[datetime, ...]:
    """Return the instants that the record may mean, the likeliest first."""
    found = readings(reader.get(what), zone)
    return tuple([at for at in found if _EARLIEST <= at <= now + _AHEAD_MAX]) if found else ()


def _in_order(*told: tuple[datetime, ...]) -> tuple[datetime | None, ...]:
    """Return of each time one reading: the likeliest of which none is before the time that goes before it.

    So a call that ends in the second of two hours that have the same name never ends before its answer.
    """
    if max(map(len, told)) < 2:
        return tuple([found[0] if found else None for found in told])
    choices = list(product(*(found or (None,) for found in told)))
    # A set-up time that is out of order must not spoil the duration, which is from the answer to the end.
    return next(
        (choice for skipped in (0, 1) for choice in choices if _rises(choice[skipped:])),
        choices[0],
    )


def _rises(times: tuple[datetime | None, ...]) -> bool:
    return all(earlier <= later for earlier, later in pairwise(at for at in times if at is not None))


def _duration(reader: Reader, kind: Kind, connect_at: datetime | None, now: datetime) -> int | None:
    if kind is Kind.INTERIM and not reader.dialect.trust_interim_duration:
        # That it comes at all tells that the call goes on.
        return max(0, int((now - connect_at).total_seconds())) if connect_at else None
    for text in reader.all("duration"):
        if text.isascii() and text.isdigit() and len(text) <= 13:
            # A part of a second counts as one, as switches do that send whole seconds.
            told = int(text) if reader.dialect.duration_unit is Unit.SECONDS else -(-int(text) // 1000)
            return told if told <= _DURATION_MAX else None
    return None


def _is_unanswered(reader: Reader, kind: Kind, seconds: int | None, connect_at: datetime | None) -> bool:
    """Tell whether a Stop that says no duration says by its silence that there was no answer."""
    silent = kind is Kind.STOP and seconds is None and connect_at is None
    return silent and reader.dialect.answered_has_connect_time


def _plausible(at: datetime | None, now: datetime) -> datetime | None:
    """Return *at*, unless no sane clock can have made it."""
    return at if at is not None and _EARLIEST <= at <= now + _AHEAD_MAX else None
