"""Which records repeat what is known of an ended leg, and which tell of another call of the same name. Pure.

A repetition is known by what it says, not by when it was sent: a switch that sends a Stop again may date it
anew. RFC 5080 section 2.2.2 leaves the identification of sessions to the server.
"""

from datetime import datetime, timedelta

from billing_core.report import Kind, Report, bounded
from billing_core.session import Session, State

TOLERANCE = timedelta(seconds=120)
"""A clock may be off by this much before a record is taken for one of another call."""

_SAME_MOMENT = timedelta(seconds=1)


def repeats(leg: Session, report: Report) -> bool:
    """Tell whether a record that ends a call says what the ended *leg* has heard already.

    Its own dates must not differ where both tell them, nor who calls. What has neither duration nor dates of
    its own is told by its kind, since its name is the leg's.
    """
    if leg.state is not State.CLOSED or not report.ends:
        return False
    facts = leg.facts
    # The callee's BYE may name the number as it was dialled, with a tech prefix.
    if report.calling not in ("", leg.calling) and not report.calling.endswith(leg.called):
        return False
    if report.kind is Kind.FAILED:
        return facts.ended
    told = report.session_seconds
    is_same_time = told in (facts.stop_seconds, facts.overrun_seconds) if told is not None else True
    return facts.stopped and is_same_time and not _own_dates_differ(leg, report)


def repeats_dates(leg: Session, report: Report) -> bool:
    """Tell whether a repetition has dates of its own that are the leg's: then nothing else can be meant."""
    facts = leg.facts
    pairs = (
        (facts.connect_at, report.connect_at),
        (facts.disconnect_at, report.disconnect_at),
        (facts.stop_event_at, report.event_at),
    )
    return repeats(leg, report) and any(known is not None and known == told for known, told in pairs)


def _own_dates_differ(leg: Session, report: Report) -> bool:
    return _differs(leg.facts.connect_at, report.connect_at) or _differs(
        leg.facts.disconnect_at, report.disconnect_at
    )


def _differs(known: datetime | None, told: datetime | None) -> bool:
    return known is not None and told is not None and abs(known - told) > _SAME_MOMENT


def opens_another(leg: Session, report: Report, now: datetime) -> bool:
    """Tell whether *report* is of a new call under the name of the ended *leg*.

    A switch that restarts may use a session id again. An undated Stop or Interim never opens one: it
    can't be told from a replay.
    """
    if leg.state is not State.CLOSED:
        return False
    facts = leg.facts
    if report.ends and facts.stopped and _differs(facts.connect_at, report.connect_at):
        return True
    if report.event_at is None and report.kind is not Kind.START:
        return False
    implied_start_at = report.connect_at or report.implied_start_at(now)
    if facts.ended:
        # The later of the two, so that a repeated Stop whose dates contradict each other stays a repetition.
        ended_at = _latest(facts.disconnect_at, facts.stop_event_at) or closed_at(leg)
        return implied_start_at > ended_at + TOLERANCE
    if report.kind is Kind.INTERIM:
        return False  # The same call goes on, or another whose Stop will tell; Interims may go backwards.
    # Silence ended it by our clock: a switch whose clock is ahead of it must not seem to begin another call.
    began_at = facts.start_event_at or facts.connect_at
    if began_at is not None and implied_start_at <= began_at + TOLERANCE:
        return False
    begun_by_ours = now - timedelta(seconds=bounded(report.session_seconds))
    return min(implied_start_at, begun_by_ours) > closed_at(leg) + TOLERANCE


def is_of_earlier(earlier: Session, later: Session, report: Report, now: datetime) -> bool:
    """Tell whether *report* is a late one of the ended leg *earlier*, rather than of the *later* one.

    Dates of a switch are compared with dates of the same switch: its clock may be far from ours.
    """
    if report.event_at is None and now < max(later.opened_at, later.last_heard_at):
        return False  # Our clock was set back, and dates nothing: a Stop that is dropped would be lost.
    implied_start_at = report.implied_start_at(now)
    began_at, ended_at = dates_of(earlier)
    if report.event_at is None or began_at is None:
        # With nothing to compare its dates with, a switch's slow clock alone must not lose us a call.
        by_ours = now - timedelta(seconds=report.delay_seconds + bounded(report.session_seconds))
        return max(implied_start_at, by_ours) < later.opened_at - TOLERANCE
    last = ended_at or began_at + TOLERANCE
    return began_at - TOLERANCE <= implied_start_at <= last


def dates_of(leg: Session) -> tuple[datetime | None, datetime | None]:
    """Return when a leg began and ended by the clock of its switch, as far as records told."""
    facts = leg.facts
    ended_at = _latest(facts.disconnect_at, facts.stop_event_at)
    began_at = facts.start_event_at or facts.connect_at
    if began_at is None and ended_at is not None:
        began_at = ended_at - timedelta(seconds=bounded(facts.stop_seconds))
    return began_at, ended_at


def closed_at(leg: Session) -> datetime:
    """Return when a leg ended by our clock: never before it began, though the clock was set back."""
    return max(leg.closed_at or leg.opened_at, leg.opened_at)


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other
