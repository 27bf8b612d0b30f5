"""What an ended leg costs: its xDR, and what is still to be posted for it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from billing_core.catalogue import Catalogue
from billing_core.client import BillBy, Client
from billing_core.limits import Limits
from billing_core.money import DEFAULT_ROUNDING, ZERO
from billing_core.number import normalise
from billing_core.rate_table import Rate
from billing_core.rating import billed_seconds, cost
from billing_core.session import Leg, Session
from billing_core.xdr import Unbillable, Xdr, XdrState

# Records are dated in whole seconds, and come one after the other: a call that ended at once may seem to
# have lasted one.
_SAME_MOMENT_SECONDS = 1


@dataclass(frozen=True, slots=True)
class _Price:
    rate: Rate | None
    duration_seconds: int | None
    amount: Decimal
    billed_seconds: int
    reason: Unbillable | None


def settle(session: Session, catalogue: Catalogue, limits: Limits) -> tuple[Session, Xdr]:
    """Return the ended *session* with its rate and posted sum as they must be, and its xDR.

    The sum is always the cost of all that is known now; the difference to what was posted before
    is the caller's to post. The xDR's revision is the session's next.
    """
    client = catalogue.clients.get(session.client_id) if session.client_id is not None else None
    moments = _moments(session, _duration(session, None))
    dated_at = moments[client.bill_by if client else BillBy.DISCONNECT]
    price = _price(session, client, catalogue, limits, dated_at)
    settled = session._replace(
        posted=price.amount,
        revision=session.revision + 1,
        rate=price.rate,
        rated_for=None if session.authorized_at and session.rated_for is None else dated_at,
        currency=session.currency or (client.currency if client else None),
    )
    return settled, Xdr(
        leg_key=session.leg_key,
        generation=session.generation,
        revision=settled.revision,
        client_id=session.client_id,
        account_id=session.account_id,
        nas=session.nas,
        leg=session.leg,
        call_id=session.call_id,
        session_id=session.session_id,
        calling=session.calling,
        called=session.called,
        code=price.rate.code if price.rate else None,
        destination=price.rate.destination if price.rate else None,
        setup_at=session.facts.setup_at,
        connect_at=session.facts.connect_at,
        disconnect_at=moments[BillBy.DISCONNECT],
        dated_at=dated_at,
        duration_seconds=price.duration_seconds,
        billed_seconds=price.billed_seconds,
        amount=price.amount,
        currency=settled.currency,
        state=_state(session, price),
        reason=price.reason,
        disconnect_cause=session.facts.disconnect_cause,
    )


def _moments(session: Session, duration: int | None) -> dict[BillBy, datetime]:
    """Return when the call was set up, answered and ended, from the best that is known."""
    facts = session.facts
    ended_at = facts.disconnect_at or facts.stop_event_at or session.closed_at or session.last_heard_at
    lasted = timedelta(seconds=min(duration or 0, 86_400))
    connected_at = facts.connect_at or facts.start_event_at or ended_at - lasted
    return {
        BillBy.SETUP: facts.setup_at or connected_at,
        BillBy.CONNECT: connected_at,
        BillBy.DISCONNECT: ended_at,
    }


def _price(
    session: Session,
    client: Client | None,
    catalogue: Catalogue,
    limits: Limits,
    dated_at: datetime,
) -> _Price:
    """Return what the leg costs, or why it can't be billed."""
    if session.leg is Leg.FURTHER or (session.leg is Leg.TERMINATION and client is None):
        return _Price(None, _duration(session, None), ZERO, 0, None)
    rate = _rate(session, client, catalogue, dated_at)
    duration = _duration(session, rate)
    if reason := _impossible(session, duration):
        return _Price(rate, duration, ZERO, 0, reason)
    if duration == 0:
        return _Price(rate, duration, ZERO, 0, None)
    if client is None:
        return _Price(None, duration, ZERO, 0, Unbillable.NO_ACCOUNT)
    if duration is None:
        return _Price(rate, duration, ZERO, 0, Unbillable.NO_DURATION)
    if duration > limits.implausible_seconds and session.decided_seconds is None:
        return _Price(rate, duration, ZERO, 0, Unbillable.IMPLAUSIBLE_DURATION)
    if rate is None:
        return _Price(None, duration, ZERO, 0, Unbillable.NO_RATE)
    return _Price(rate, duration, cost(rate, duration), billed_seconds(rate, duration), None)


def _impossible(session: Session, duration: int | None) -> Unbillable | None:
    """Return what cannot be true of a leg's time, if so; what somebody decided is taken as it is."""
    facts = session.facts
    if session.estimated or session.decided_seconds is not None:
        return None
    if facts.is_overrun:
        return Unbillable.OVERRUN
    is_backwards = facts.stopped and facts.connect_at and facts.disconnect_at and duration is None
    says_nothing = facts.stopped and duration == 0
    says_answered = says_nothing and facts.least_seconds(session.closed_at) > _SAME_MOMENT_SECONDS
    return Unbillable.CONTRADICTORY_TIME if is_backwards or says_answered else None


def _duration(session: Session, rate: Rate | None) -> int | None:
    """Return how long the leg lasted, as its rate table rounds durations, or as somebody decided."""
    if session.decided_seconds is not None:
        return session.decided_seconds
    if session.estimated:
        return session.facts.known_seconds
    return session.facts.duration_seconds(rate.rounding if rate else DEFAULT_ROUNDING)


def _rate(session: Session, client: Client | None, catalogue: Catalogue, dated_at: datetime) -> Rate | None:
    """Return the pinned rate, or for a call that was never authorized the one of its date."""
    pinned = session.authorized_at is not None and session.rated_for is None
    if session.rate is not None and (pinned or session.rated_for == dated_at):
        return session.rate
    number = normalise(session.called)
    if client is None or number is None:
        return None
    return catalogue.rate(client, rate_table_id(client, session.leg), number, dated_at)


def rate_table_id(client: Client, leg: Leg) -> int | None:
    """Return the rate table by which legs of that side are priced, None if the client has none."""
    return client.term_rate_table_id if leg is Leg.TERMINATION else client.rate_table_id


def _state(session: Session, price: _Price) -> XdrState:
    if price.reason is not None:
        return XdrState.UNBILLABLE
    if session.leg is Leg.FURTHER or session.client_id is None or session.decided_seconds == 0:
        return XdrState.RECORDED
    is_estimated = session.estimated and session.decided_seconds is None
    return XdrState.ESTIMATED if is_estimated else XdrState.RATED
