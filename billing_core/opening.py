"""How a session begins: by an Accept, or by the first record of a leg that was never authorized."""

from dataclasses import replace
from datetime import datetime, timedelta

from billing_core.accounting import Report, dates_of
from billing_core.authorization import AuthorizationRequest, Authorized, Denied
from billing_core.client import Account, Client
from billing_core.concurrency import is_sliced, renewal_at
from billing_core.decision import unrecognised_text
from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.number import normalise
from billing_core.session import Leg, Session, State


def granted(
    request: AuthorizationRequest,
    outcome: Authorized,
    known: Session | None,
    limits: Limits,
    now: datetime,
    decision: str | None = None,
) -> Session:
    """Return the session of a call that was accepted: new, or with its grant replaced.

    *decision* is what deciding saw.
    """
    candidate = outcome.candidate
    if known is not None and known.state is State.ACTIVE:
        again = replace(
            known,
            rate=candidate.rate,
            rated_for=None,
            authorized_at=known.authorized_at or now,
            # All that the call was granted since it was opened, as what is reserved for it.
            credit_time_seconds=known.elapsed_seconds(now) + outcome.credit_time_seconds,
            reserved=outcome.reserved,
            reserved_seconds=outcome.reserved_seconds,
            currency=candidate.client.currency,
            decision=decision,
            look_at=now + timedelta(seconds=outcome.credit_time_seconds + limits.silence_margin_seconds),
        )
        return _looked_at_in_time(again, candidate.client)
    generation, (earlier_began_at, earlier_ended_at) = _succession(known)
    new = Session(
        leg_key=request.leg_key,
        generation=generation,
        nas=request.nas,
        nas_box=request.nas_box,
        leg=Leg.ORIGINATION,
        state=State.RESERVED,
        call_id=request.call_id,
        session_id=request.session_id,
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
        decision=decision,
        earlier_began_at=earlier_began_at,
        earlier_ended_at=earlier_ended_at,
    )
    # A slice runs from the Start where one will come; elsewhere the call may be under way already.
    return new if request.sends_start else _looked_at_in_time(new, candidate.client)


def _succession(known: Session | None) -> tuple[int, tuple[datetime | None, datetime | None]]:
    """Return the generation of an accepted call, and the dates of the one before.

    A leg of which nothing was ever heard is the same call, asked about again.
    """
    if known is None:
        return 0, (None, None)
    if known.state in (State.RESERVED, State.RELEASED):
        return known.generation, (known.earlier_began_at, known.earlier_ended_at)
    return known.generation + 1, dates_of(known)


def _patience(request: AuthorizationRequest, outcome: Authorized, limits: Limits) -> timedelta:
    """Return how long an accepted call is held that is not heard of: at least as long as it has paid for."""
    seconds = outcome.credit_time_seconds + limits.silence_margin_seconds
    if request.sends_start:
        seconds = min(seconds, max(limits.start_timeout_seconds, _slice_of(outcome)))
    return timedelta(seconds=seconds)


def _slice_of(outcome: Authorized) -> int:
    """Return how much of the granted time a slice pays, 0 when all or nothing of it is set aside."""
    paid = outcome.reserved_seconds or 0
    return paid if paid < outcome.credit_time_seconds else 0


def _looked_at_in_time(session: Session, client: Client) -> Session:
    """Let a sliced leg be looked at before its slice is used up."""
    if not is_sliced(session):
        return session
    return replace(session, look_at=renewal_at(session, client.concurrency))


def opened(
    report: Report, account: Account | None, earlier: Session | None, limits: Limits, now: datetime
) -> Session:
    """Return a session for a leg that was not authorized, before it hears its first report.

    *earlier* is the ended call that used its name before, if one did.
    """
    earlier_began_at, earlier_ended_at = dates_of(earlier)
    called = report.called.removeprefix(account.tech_prefix) if account else report.called
    patience = timedelta(seconds=limits.max_call_seconds + limits.silence_margin_seconds)
    return Session(
        leg_key=report.leg_keys[0],
        generation=earlier.generation + 1 if earlier else 0,
        nas=report.nas,
        nas_box=report.nas_box,
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
        earlier_began_at=earlier_began_at,
        earlier_ended_at=earlier_ended_at,
    )


def releases(denied: Denied, session: Session) -> bool:
    """A denied call gives back what it was granted before, unless it has started.

    Only a caller who proved to be the same account can do so.
    """
    if denied.reason is Denial.BAD_PASSWORD or denied.account is None:
        return False
    return session.state is State.RESERVED and session.account_id == denied.account.id
