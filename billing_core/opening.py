"""How a session begins: by an Accept, or by the first record of a leg that was never authorized."""

from collections.abc import Set
from datetime import datetime, timedelta

from billing_core.asked import Asked, asked_numbers, asked_text
from billing_core.authorization import AuthorizationRequest, Authorized
from billing_core.client import Account, Client
from billing_core.concurrency import is_sliced, renewal_at
from billing_core.conversation import Conversation
from billing_core.credit_time import dearer
from billing_core.decision import unrecognised_text
from billing_core.limits import Limits
from billing_core.number import normalise
from billing_core.report import Report
from billing_core.session import Leg, Session, State


def granted(
    request: AuthorizationRequest,
    outcome: Authorized,
    known: Conversation | None,
    limits: Limits,
    now: datetime,
    decision: str | None = None,
) -> Session:
    """Return the session of a call that was accepted: new, or the leg that it is about with its new grant.

    *decision* is what deciding saw.
    """
    if known is None:
        new = _new(request, outcome, limits, now, decision)
    elif not known.leg.state.is_open:
        # Nothing was ever heard of it: the same call, asked about again.
        opened_first_at = known.leg.authorized_at or now
        new = _new(request, outcome, limits, now, decision)._replace(
            generation=known.leg.generation,
            authorized_at=opened_first_at,
            questions=known.leg.questions + (not known.is_sure),
            asked=_asked_before(known.leg, outcome.candidate.number),
        )
    else:
        return _looked_at_in_time(
            _again(request, outcome, known, limits, now, decision), outcome.candidate.client
        )
    # A slice runs from the Start where one will come; elsewhere the call may be under way already.
    return new if request.sends_start else _looked_at_in_time(new, outcome.candidate.client)


def _new(
    request: AuthorizationRequest, outcome: Authorized, limits: Limits, now: datetime, decision: str | None
) -> Session:
    candidate = outcome.candidate
    return Session(
        leg_key=request.leg_key,
        generation=outcome.generation,
        nas=request.nas,
        nas_box=request.nas_box,
        nas_address=request.nas_address,
        nas_source=request.nas_source,
        leg=Leg.ORIGINATION,
        state=State.RESERVED,
        call_id=request.call_id,
        session_id=request.session_id,
        asked_session_id=request.own_session_id,
        tags=request.tags,
        calling=request.calling,
        called=candidate.number,
        client_id=candidate.client.id,
        account_id=candidate.account.id,
        opened_at=now,
        look_at=now + _patience(request, outcome, limits),
        last_heard_at=now,
        currency=candidate.client.currency,
        rate=candidate.rate,
        authorized_at=now,
        credit_time_seconds=outcome.credit_time_seconds,
        reserved=outcome.reserved,
        reserved_seconds=outcome.reserved_seconds,
        questions=1,
        decision=decision,
    )


def _again(
    request: AuthorizationRequest,
    outcome: Authorized,
    known: Conversation,
    limits: Limits,
    now: datetime,
    decision: str | None,
) -> Session:
    """Return an open leg with what it was granted in all; it never gets cheaper, nor is it held shorter."""
    leg = known.leg
    if leg.is_heard:
        seconds = outcome.credit_time_seconds + limits.silence_margin_seconds
        look_at = now + timedelta(seconds=seconds)
    else:
        look_at = now + _patience(request, outcome, limits)
    granted_seconds = leg.elapsed_seconds(now) + outcome.credit_time_seconds
    again = leg._replace(
        authorized_at=leg.authorized_at or now,
        # All that the call was granted since it was opened, as what is reserved for it.
        credit_time_seconds=max(granted_seconds, 0 if known.is_moved else leg.credit_time_seconds or 0),
        reserved=outcome.reserved,
        reserved_seconds=outcome.reserved_seconds,
        currency=outcome.candidate.client.currency,
        tags=leg.tags or request.tags,
        asked_session_id=leg.asked_session_id or request.own_session_id,
        questions=leg.questions + (not known.is_sure),
        decision=decision,
        look_at=max(look_at, leg.look_at),
    )
    return _priced(again, outcome, known, limits)


def _asked_before(leg: Session, number: str) -> str | None:
    """Return what a released leg was accepted for before, other than the *number* it is asked for now."""
    before = [*asked_numbers(leg.asked), *([Asked(leg.called, leg.rate)] if leg.rate else [])]
    return asked_text([item for item in before if item.number != number])


def _priced(leg: Session, outcome: Authorized, known: Conversation, limits: Limits) -> Session:
    """Return the leg at the dearer of its rate and this Accept's; the other number is kept beside."""
    candidate = outcome.candidate
    asked = Asked(candidate.number, candidate.rate)
    if leg.rate is None:
        return leg._replace(rate=candidate.rate, rated_for=None)
    rate = dearer(leg.rate, candidate.rate, limits.max_call_seconds)
    if not known.is_moved:
        is_same = candidate.number == leg.called
        return leg if rate is leg.rate or not is_same else leg._replace(rate=rate, rated_for=None)
    others = asked_numbers(leg.asked)
    if rate is leg.rate:
        return leg._replace(asked=asked_text([*others, asked]))
    return leg._replace(
        rate=rate,
        rated_for=None,
        called=candidate.number,
        asked=asked_text([*others, Asked(leg.called, leg.rate)]),
    )


def bound(leg: Session, named: Set[str]) -> Session:
    """Return a leg priced by the number that its first record has *named*, if it was accepted for several."""
    if leg.is_heard or leg.rate is None or leg.called in named:
        return leg
    chosen = next((item for item in asked_numbers(leg.asked) if item.number in named), None)
    if chosen is None:
        return leg
    others = [item for item in asked_numbers(leg.asked) if item is not chosen]
    asked = asked_text([*others, Asked(leg.called, leg.rate)])
    return leg._replace(called=chosen.number, rate=chosen.rate, asked=asked)


def _patience(request: AuthorizationRequest, outcome: Authorized, limits: Limits) -> timedelta:
    """Return how long an accepted call is held that is not heard of.

    At least as long as it has paid for, unless its switch would have told of it by then.
    """
    seconds = outcome.credit_time_seconds + limits.silence_margin_seconds
    if request.sends_start:
        seconds = min(seconds, max(limits.start_timeout_seconds, _slice_of(outcome)))
    if request.unheard_seconds is not None:
        seconds = min(seconds, request.unheard_seconds)
    return timedelta(seconds=seconds)


def _slice_of(outcome: Authorized) -> int:
    """Return how much of the granted time a slice pays, 0 when all or nothing of it is set aside."""
    paid = outcome.reserved_seconds or 0
    return paid if paid < outcome.credit_time_seconds else 0


def _looked_at_in_time(session: Session, client: Client) -> Session:
    """Let a sliced leg be looked at before its slice is used up."""
    if not is_sliced(session):
        return session
    return session._replace(look_at=renewal_at(session, client.concurrency))


def opened(
    report: Report, account: Account | None, generation: int, limits: Limits, now: datetime
) -> Session:
    """Return a session for a leg that was not authorized, before it hears its first report."""
    called = report.called.removeprefix(account.tech_prefix) if account else report.called
    patience = timedelta(seconds=limits.max_call_seconds + limits.silence_margin_seconds)
    return Session(
        leg_key=report.leg_keys[0],
        generation=generation,
        nas=report.nas,
        nas_box=report.nas_box,
        nas_address=report.nas_address,
        nas_source=report.nas_source,
        leg=report.leg,
        state=State.ACTIVE,
        call_id=report.call_id,
        session_id=report.session_id,
        calling=report.calling,
        called=normalise(called) or called,
        client_id=account.client_id if account else None,
        account_id=account.id if account else None,
        # When it began rather than when it was heard of: later records are dated by the same clock.
        opened_at=min(now, report.implied_start_at(now)),
        look_at=now + patience,
        last_heard_at=now,
        decision=None if account else unrecognised_text(report),
    )
