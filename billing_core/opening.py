"""How a session begins: by an Accept, or by the first record of a leg that was never authorized."""

from dataclasses import replace
from datetime import datetime, timedelta

from billing_core.accounting import Report
from billing_core.authorization import AuthorizationRequest, Authorized, Denied
from billing_core.client import Account
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
) -> Session:
    """Return the session of a call that was accepted: new, or with its grant replaced."""
    candidate = outcome.candidate
    patience = timedelta(seconds=outcome.credit_time_seconds + limits.silence_margin_seconds)
    if request.sends_start:
        patience = min(patience, timedelta(seconds=limits.start_timeout_seconds))
    if known is not None and known.state is State.ACTIVE:
        return replace(
            known,
            rate=candidate.rate,
            rated_for=None,
            authorized_at=known.authorized_at or now,
            # All that the call was granted since it was opened, as what is reserved for it.
            credit_time_seconds=known.elapsed_seconds(now) + outcome.credit_time_seconds,
            reserved=outcome.reserved,
            currency=candidate.client.currency,
            look_at=now + timedelta(seconds=outcome.credit_time_seconds + limits.silence_margin_seconds),
        )
    generation = 0
    if known is not None:
        generation = known.generation if known.state is State.RESERVED else known.generation + 1
    return Session(
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
        look_at=now + patience,
        last_heard_at=now,
        currency=candidate.client.currency,
        rate=candidate.rate,
        authorized_at=now,
        credit_time_seconds=outcome.credit_time_seconds,
        reserved=outcome.reserved,
    )


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
    )


def releases(denied: Denied, session: Session) -> bool:
    """A denied call gives back what it was granted before, unless it has started.

    Only a caller who proved to be the same account can do so.
    """
    if denied.reason is Denial.BAD_PASSWORD or denied.account is None:
        return False
    return session.state is State.RESERVED and session.account_id == denied.account.id
