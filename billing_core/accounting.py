"""What a switch reports of a leg, and what follows for its session. Pure; facts only accumulate."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from billing_core.facts import Facts
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.report import Kind, Report
from billing_core.session import Session, State


def hear(
    session: Session, report: Report, limits: Limits, now: datetime, *, names_dialog: bool = True
) -> Session:
    """Return what is known of the leg after *report*; the same session when it says nothing new.

    A call that was answered does not fail. Where several conversations may stand behind the leg, a failure
    ends it only if the record *names_dialog*: it may be of any of them.
    """
    fails = session.state.is_open and report.kind is Kind.FAILED
    if fails and (session.facts.answered or (session.questions > 1 and not names_dialog)):
        return session
    facts = absorb(
        session.facts,
        report,
        limits,
        _elapsed_seconds(session, now) if report.kind is Kind.INTERIM else None,
        possible_seconds(session, report, limits, now) if report.kind is Kind.STOP else None,
        now,
    )
    has_failed = session.state is State.CLOSED and session.facts.failed and not session.facts.stopped
    if has_failed and report.tells_answer:
        # The failure was another's: what was answered has not ended with it.
        facts = facts._replace(failed=False, disconnect_at=None, stop_event_at=None, disconnect_cause=None)
    is_back = session.state is State.RELEASED or (has_failed and report.tells_answer)
    if not session.state.is_open and facts == session.facts and not is_back:
        return session
    state, closed_at = session.state, session.closed_at
    look_at, reserved = session.look_at, session.reserved
    if report.ends and (state is not State.CLOSED or reserved):
        closed_at = closed_at if state is State.CLOSED else now
        reserved = reserved if facts.is_overrun and session.decided_seconds is None else ZERO
        state = State.CLOSED
    elif not report.ends and (state is State.RESERVED or is_back):
        state, closed_at = State.ACTIVE, None
        granted = timedelta(seconds=session.credit_time_seconds or limits.max_call_seconds)
        look_at = now + granted + timedelta(seconds=limits.silence_margin_seconds)
    session_id, tags, call_type = _names(session, report)
    return session._replace(
        state=state,
        closed_at=closed_at,
        look_at=look_at,
        last_heard_at=now,
        session_id=session_id,
        tags=tags,
        call_type=call_type,
        facts=facts,
        reserved=reserved,
        estimated=session.estimated and not facts.ended,
    )


def possible_seconds(session: Session, report: Report, limits: Limits, now: datetime) -> int | None:
    """Return the longest that the call can have lasted by what is known with *report*, None if nothing tells.

    Since the first Accept by our clock; of a call that was never accepted by the dates of its switch, which
    are compared with each other, for its clock may be far from ours.
    """
    if report.overrun_is_charged:
        return None
    if session.authorized_at is not None and now >= session.authorized_at:
        began_at = min(session.opened_at, session.authorized_at)
        return int((now - began_at).total_seconds()) + limits.overrun_slack_seconds
    lasted = [span for span in _spans(session.facts, report, now) if span >= 0]
    return max(lasted) + limits.overrun_slack_seconds if lasted else None


def _spans(facts: Facts, report: Report, now: datetime) -> Iterator[int]:
    """Yield how long a call has lasted by now, by the dates of its switch and by the delay that it told."""
    answered_at = _first(facts.connect_at, report.connect_at, facts.start_event_at)
    began_at = answered_at or _first(facts.setup_at, report.setup_at)
    if began_at is not None:
        ended = [facts.disconnect_at, report.disconnect_at, report.event_at]
        ended_at = max((at for at in ended if at is not None), default=now)
        yield int((ended_at - began_at).total_seconds())
    # RFC 2866 section 5.2: arrival less Acct-Delay-Time dates the record. Arrival alone does not.
    if facts.start_heard_at is not None and facts.start_delay_told:
        yield int((now - facts.start_heard_at).total_seconds())


def _first(*moments: datetime | None) -> datetime | None:
    return min((at for at in moments if at is not None), default=None)


def _names(session: Session, report: Report) -> tuple[str, tuple[str, ...], str]:
    """Return what names the conversation now: session id, tags, and the side that it is seen from.

    What only failed has a callee of its own, so it names nothing.
    """
    if report.kind is Kind.FAILED:
        return session.session_id, session.tags, session.call_type
    known = session.session_id if session.is_bound else ""
    tags = tuple(sorted({*session.tags, *report.tags})) if report.tags else session.tags
    return known or report.session_id or session.session_id, tags, session.call_type or report.call_type


def absorb(
    facts: Facts,
    report: Report,
    limits: Limits,
    elapsed_seconds: int | None,
    possible_seconds: int | None,
    now: datetime,
) -> Facts:
    """Join *report* into *facts*. Any order and any repetition of reports gives the same facts.

    *elapsed_seconds* is the longest that the call can have lasted by now, None when unknown, and
    *possible_seconds* the longest that a Stop may tell.
    """
    begun = _begun(facts, report, limits, elapsed_seconds, now)
    return _ended(begun, report, limits, possible_seconds) if report.ends else begun


def _begun(facts: Facts, report: Report, limits: Limits, elapsed_seconds: int | None, now: datetime) -> Facts:
    """Join what any record tells: that the call began, was answered, and goes on."""
    start_event_at, known_seconds = facts.start_event_at, facts.known_seconds
    start_heard_at, start_delay_told = facts.start_heard_at, facts.start_delay_told
    if report.kind is Kind.INTERIM:
        known_seconds = max(known_seconds, _believable(report.session_seconds, elapsed_seconds, limits))
    elif report.kind is Kind.START:
        start_heard_at, start_delay_told = _start_heard(facts, report, now)
        if not report.is_before_answer:
            start_event_at = _earliest(start_event_at, report.event_at)
    return facts._replace(
        setup_at=_earliest(facts.setup_at, report.setup_at),
        connect_at=_earliest(facts.connect_at, report.connect_at),
        start_event_at=start_event_at,
        known_seconds=known_seconds,
        answered=facts.answered or report.tells_answer,
        start_heard_at=start_heard_at,
        start_delay_told=start_delay_told,
    )


def _start_heard(facts: Facts, report: Report, now: datetime) -> tuple[datetime | None, bool]:
    """Return when the Start was sent by our clock, and whether it told its delay: one that tells it wins."""
    if report.is_delay_told < facts.start_delay_told:
        return facts.start_heard_at, facts.start_delay_told
    heard_at = now - timedelta(seconds=report.delay_seconds)
    if facts.start_heard_at is None or report.is_delay_told > facts.start_delay_told:
        return heard_at, report.is_delay_told
    return min(facts.start_heard_at, heard_at), facts.start_delay_told


def _ended(facts: Facts, report: Report, limits: Limits, possible_seconds: int | None) -> Facts:
    """Join what a record tells that ends the call."""
    is_stop = report.kind is Kind.STOP
    told_seconds, overrun_seconds = report.session_seconds if is_stop else None, facts.overrun_seconds
    if told_seconds is not None and possible_seconds is not None and told_seconds > possible_seconds:
        overrun_seconds, told_seconds = max(overrun_seconds or 0, told_seconds), None
    is_better = _is_better(facts, report, told_seconds, limits)
    return facts._replace(
        disconnect_at=_latest(facts.disconnect_at, report.disconnect_at),
        stop_event_at=_end_event(facts, report, is_better),
        stop_seconds=_longest_plausible(facts.stop_seconds, told_seconds, limits.implausible_seconds),
        overrun_seconds=overrun_seconds,
        stopped=facts.stopped or is_stop,
        failed=facts.failed or not is_stop,
        disconnect_cause=_cause(facts, report, is_better),
    )


def _elapsed_seconds(session: Session, now: datetime) -> int | None:
    if session.authorized_at is None:
        return None
    return int((now - session.authorized_at).total_seconds()) + 1


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


def _is_better(facts: Facts, report: Report, seconds: int | None, limits: Limits) -> bool | None:
    """Tell whether an ending counts more than those known, None for as much.

    The longest Stop that can be true counts, else any Stop, else a failure.
    """
    told = _weight(True, report.kind is Kind.STOP, seconds, limits)
    known = _weight(facts.ended, facts.stopped, facts.stop_seconds, limits)
    return None if told == known else told > known


def _end_event(facts: Facts, report: Report, is_better: bool | None) -> datetime | None:
    """Return the date of the record whose ending counts; of equal ones the first, which others repeat."""
    if is_better is None:
        return _earliest(facts.stop_event_at, report.event_at)
    return report.event_at if is_better else facts.stop_event_at


def _cause(facts: Facts, report: Report, is_better: bool | None) -> str | None:
    """Return the cause that the ending which counts names."""
    if is_better is None:
        return max(filter(None, (facts.disconnect_cause, report.disconnect_cause)), default=None)
    return report.disconnect_cause if is_better else facts.disconnect_cause


def _weight(ended: bool, stopped: bool, seconds: int | None, limits: Limits) -> tuple[bool | int, ...]:
    """Return what orders endings in the same way in which their durations are chosen."""
    plausible = seconds is not None and seconds <= limits.implausible_seconds
    return ended, stopped, seconds is not None, plausible, seconds or 0


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(one, other) if one and other else one or other


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other
