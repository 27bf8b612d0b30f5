"""What a switch reports of a leg, and what follows for its session. Pure; facts only accumulate."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.session import Facts, Leg, Session, State, leg_key

# A clock may be off by this much before a record is taken for one of another call (RFC 5080 section 2.2.2
# leaves the identification of sessions to the server).
GENERATION_TOLERANCE = timedelta(seconds=120)


class Kind(Enum):
    """Acct-Status-Type: RFC 2866 section 5.1; Failed (15) is what SIP proxies send for a call that failed."""

    START = "start"
    INTERIM = "interim"
    STOP = "stop"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Report:
    """An accounting record about one leg, as its dialect reads it.

    `leg_keys` are the names under which the leg may be known, the best first. `event_at` is the
    record's own date, absent when it has none; `delay_seconds` how long it waited in the switch.
    A Start that `is_before_answer` was sent when the call began to be routed, and dates no answer.
    `tags` tell its dialog from others of one call id, in any order (both of SIP's, a channel); `call_type`
    is the side from which it is seen (telephony, VoIP). `linked` is the leg that our Class names, without
    a generation if it is of an older form. At a switch whose `numbers_change`, a number proves nothing;
    `overrun_is_charged` charges time that cannot be true, too.
    """

    kind: Kind
    nas: str
    nas_box: str
    leg: Leg
    leg_keys: tuple[bytes, ...]
    call_id: str
    session_id: str
    name: str | None
    ip: str | None
    calling: str
    called: str
    termination_address: str | None = None
    event_at: datetime | None = None
    delay_seconds: int = 0
    session_seconds: int | None = None
    setup_at: datetime | None = None
    connect_at: datetime | None = None
    disconnect_at: datetime | None = None
    disconnect_cause: str | None = None
    can_disconnect: bool = False
    is_before_answer: bool = False
    tags: tuple[str, ...] = ()
    call_type: str = ""
    linked: tuple[bytes, int | None] | None = None
    numbers_change: bool = False
    overrun_is_charged: bool = False

    @property
    def further_key(self) -> bytes:
        """Return the leg's name if it proves to be another one beside the leg that is charged."""
        reference = self.call_id or self.session_id
        return leg_key(self.nas, reference, Leg.FURTHER, f"{self.leg.value}/{self.session_id}")

    @property
    def ends(self) -> bool:
        """Tell whether the record ends the leg."""
        return self.kind in (Kind.STOP, Kind.FAILED)

    def implied_start_at(self, now: datetime) -> datetime:
        """Return when the call must have begun: the record's date less the duration it tells."""
        happened_at = self.event_at or now - timedelta(seconds=self.delay_seconds)
        return happened_at - timedelta(seconds=_bounded(self.session_seconds))


def _bounded(seconds: int | None) -> int:
    """Return a number of seconds that dates can be reckoned with; garbage of a switch tells nothing."""
    return seconds if seconds is not None and seconds <= 10 * 365 * 86_400 else 0


def opens_generation(session: Session, report: Report, now: datetime) -> bool:
    """Tell whether *report* is of a new call under the name of the ended *session*.

    A switch that restarts may use a session id again. An undated Stop or Interim never opens one:
    it can't be told from a replay.
    """
    if session.state is not State.CLOSED:
        return False
    if report.event_at is None and report.kind is not Kind.START:
        return False
    facts = session.facts
    implied_start_at = report.implied_start_at(now)
    if facts.ended:
        # The later of the two, so that a repeated Stop whose dates contradict each other stays a repetition.
        ended_at = _latest(facts.disconnect_at, facts.stop_event_at) or _closed_at(session)
        return implied_start_at > ended_at + GENERATION_TOLERANCE
    if report.kind is Kind.INTERIM:
        return False  # The same call goes on, or another whose Stop will tell; Interims may go backwards.
    # Silence ended it by our clock: a switch whose clock is ahead of it must not seem to begin another call.
    began_at = facts.start_event_at or facts.connect_at
    if began_at is not None and implied_start_at <= began_at + GENERATION_TOLERANCE:
        return False
    begun_by_ours = now - timedelta(seconds=_bounded(report.session_seconds))
    return min(implied_start_at, begun_by_ours) > _closed_at(session) + GENERATION_TOLERANCE


def _closed_at(session: Session) -> datetime:
    """Return when a leg ended by our clock: never before it began, though the clock was set back."""
    return max(session.closed_at or session.opened_at, session.opened_at)


def is_of_earlier_generation(session: Session, report: Report, now: datetime) -> bool:
    """Tell whether *report* is a late one of a call that used the session's name before it.

    Dates of a switch are compared with dates of the same switch: its clock may be far from ours.
    """
    if session.generation == 0:
        return False
    if report.event_at is None and now < max(session.opened_at, session.last_heard_at):
        return False  # Our clock was set back, and dates nothing: a Stop that is dropped would be lost.
    implied_start_at = report.implied_start_at(now)
    began_at, ended_at = session.earlier_began_at, session.earlier_ended_at
    if report.event_at is None or began_at is None:
        # With nothing to compare its dates with, a switch's slow clock alone must not lose us a call.
        by_ours = now - timedelta(seconds=report.delay_seconds + _bounded(report.session_seconds))
        return max(implied_start_at, by_ours) < session.opened_at - GENERATION_TOLERANCE
    last = ended_at or began_at + GENERATION_TOLERANCE
    return began_at - GENERATION_TOLERANCE <= implied_start_at <= last


def dates_of(session: Session | None) -> tuple[datetime | None, datetime | None]:
    """Return when a leg began and ended by the clock of its switch, as far as records told."""
    if session is None:
        return None, None
    facts = session.facts
    ended_at = _latest(facts.disconnect_at, facts.stop_event_at)
    began_at = facts.start_event_at or facts.connect_at
    if began_at is None and ended_at is not None:
        began_at = ended_at - timedelta(seconds=_bounded(facts.stop_seconds))
    return began_at, ended_at


def is_further_leg(session: Session, report: Report) -> bool:
    """Tell whether *report* is of another leg that shares the call id (telephony beside VoIP)."""
    heard = session.state in (State.ACTIVE, State.CLOSED)
    return (
        heard and bool(session.session_id and report.session_id) and session.session_id != report.session_id
    )


def hear(session: Session, report: Report, limits: Limits, now: datetime) -> Session:
    """Return what is known of the leg after *report*; the same session when it says nothing new."""
    facts = absorb(session.facts, report, limits, _elapsed_seconds(session, now))
    if not session.state.is_open and facts == session.facts and session.state is not State.RELEASED:
        return session
    state, closed_at, look_at = session.state, session.closed_at, session.look_at
    reserved = session.reserved
    if report.ends and state is not State.CLOSED:
        state, closed_at, reserved = State.CLOSED, now, ZERO
    elif state in (State.RESERVED, State.RELEASED) and not report.ends:
        state, closed_at = State.ACTIVE, None
        granted = timedelta(seconds=session.credit_time_seconds or limits.max_call_seconds)
        look_at = now + granted + timedelta(seconds=limits.silence_margin_seconds)
    heard = session.state in (State.ACTIVE, State.CLOSED)
    known_as = session.session_id if heard else ""
    return replace(
        session,
        state=state,
        closed_at=closed_at,
        look_at=look_at,
        last_heard_at=now,
        session_id=known_as or report.session_id or session.session_id,
        facts=facts,
        reserved=reserved,
        estimated=session.estimated and not facts.ended,
    )


def absorb(facts: Facts, report: Report, limits: Limits, elapsed_seconds: int | None) -> Facts:
    """Join *report* into *facts*. Any order and any repetition of reports gives the same facts.

    *elapsed_seconds* is the longest that the call can have lasted by now, None when unknown.
    """
    is_stop = report.kind is Kind.STOP
    stop_seconds = facts.stop_seconds
    if is_stop:
        stop_seconds = _longest_plausible(stop_seconds, report.session_seconds, limits.implausible_seconds)
    known_seconds = facts.known_seconds
    if report.kind is Kind.INTERIM:
        known_seconds = max(known_seconds, _believable(report.session_seconds, elapsed_seconds, limits))
    return Facts(
        setup_at=_earliest(facts.setup_at, report.setup_at),
        connect_at=_earliest(facts.connect_at, report.connect_at),
        disconnect_at=_latest(facts.disconnect_at, report.disconnect_at if report.ends else None),
        start_event_at=_earliest(
            facts.start_event_at,
            report.event_at if report.kind is Kind.START and not report.is_before_answer else None,
        ),
        stop_event_at=_latest(facts.stop_event_at, report.event_at if report.ends else None),
        known_seconds=known_seconds,
        stop_seconds=stop_seconds,
        stopped=facts.stopped or is_stop,
        failed=facts.failed or report.kind is Kind.FAILED,
        disconnect_cause=_cause(facts, report, limits) if report.ends else facts.disconnect_cause,
    )


def _elapsed_seconds(session: Session, now: datetime) -> int | None:
    if session.authorized_at is None:
        return None
    return int((now - session.opened_at).total_seconds()) + 1


def _believable(seconds: int | None, elapsed_seconds: int | None, limits: Limits) -> int:
    """Return an Interim's duration, capped by what can be true."""
    if seconds is None:
        return 0
    if elapsed_seconds is not None:
        return min(seconds, elapsed_seconds)
    return seconds if seconds <= limits.implausible_seconds else 0


def _longest_plausible(known: int | None, told: int | None, implausible_seconds: int) -> int | None:
    """Of several Stops the longest counts, but never one that can't be true over one that can."""
    durations = [seconds for seconds in (known, told) if seconds is not None]
    plausible = [seconds for seconds in durations if seconds <= implausible_seconds]
    return max(plausible or durations, default=None)


def _cause(facts: Facts, report: Report, limits: Limits) -> str | None:
    """Of several endings the one that counts names the cause: the longest Stop, else any, else a failure."""
    is_stop = report.kind is Kind.STOP
    told = _weight(True, is_stop, report.session_seconds if is_stop else None, limits)
    known = _weight(facts.ended, facts.stopped, facts.stop_seconds, limits)
    if told == known:
        return max(filter(None, (facts.disconnect_cause, report.disconnect_cause)), default=None)
    return report.disconnect_cause if told > known else facts.disconnect_cause


def _weight(ended: bool, stopped: bool, seconds: int | None, limits: Limits) -> tuple[bool | int, ...]:
    """Return what orders endings in the same way in which their durations are chosen."""
    plausible = seconds is not None and seconds <= limits.implausible_seconds
    return ended, stopped, seconds is not None, plausible, seconds or 0


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(one, other) if one and other else one or other


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other
