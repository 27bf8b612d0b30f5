"""How much of a client's money a call sets aside, by his policy for parallel calls; and slices of it. Pure.

A slice pays a call for a while only, so it is renewed before it is used up: at every record of the call,
and by time. When there is no money for another slice, the switch is asked to end the call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from billing_core.balance import Balance, payable, usable
from billing_core.client import Client, Concurrency, Policy
from billing_core.credit_time import credit_time, highest_cost
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.rate_table import Rate
from billing_core.session import Session

SLICE_SECONDS_MIN = 10
"""A shorter slice would be used up before anybody looks at it, so it is taken for one of this length."""

LEAD_SECONDS_MAX = 20
"""A slice is renewed so long before its end: time to be looked at, to ask the switch, and for it to obey."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a policy is asked: a call at *rate* of which `spent_seconds` have passed already.

    `usable` is what no other call holds, `available` what there would be without any other call; neither
    is more than one call may cost.
    """

    rate: Rate
    usable: Decimal
    available: Decimal
    max_call_seconds: int
    spent_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """A call may last `seconds` in all; `reserved` pays the first `reserved_seconds`, None: pays nothing."""

    seconds: int
    reserved: Decimal
    reserved_seconds: int | None


@dataclass(frozen=True, slots=True)
class Renewal:
    """A leg with its next slice; `ran_dry` tells that no money was left for it."""

    session: Session
    ran_dry: bool


def grant(concurrency: Concurrency, demand: Demand, *, can_disconnect: bool) -> Grant:
    """Return what a call is granted. Slices take a switch that ends calls when asked to: else all is held."""
    policy = concurrency.policy
    if policy is Policy.SLICE and not can_disconnect:
        policy = Policy.FULL
    return _GRANTS[policy](concurrency, demand)


def _full(concurrency: Concurrency, demand: Demand) -> Grant:
    return _held(demand, demand.usable)


def _share(concurrency: Concurrency, demand: Demand) -> Grant:
    return _held(demand, min(demand.usable, demand.available / concurrency.calls))


def _held(demand: Demand, money: Decimal) -> Grant:
    seconds = credit_time(demand.rate, money, demand.max_call_seconds)
    return Grant(seconds, highest_cost(demand.rate, seconds), seconds)


def _slice(concurrency: Concurrency, demand: Demand) -> Grant:
    seconds = credit_time(demand.rate, demand.usable, demand.max_call_seconds)
    reserved_seconds = min(seconds, demand.spent_seconds + _slice_seconds(concurrency, demand.rate))
    return Grant(seconds, highest_cost(demand.rate, reserved_seconds), reserved_seconds)


def _none(concurrency: Concurrency, demand: Demand) -> Grant:
    return Grant(credit_time(demand.rate, demand.available, demand.max_call_seconds), ZERO, None)


_GRANTS: MappingProxyType[Policy, Callable[[Concurrency, Demand], Grant]] = MappingProxyType(
    {Policy.FULL: _full, Policy.SHARE: _share, Policy.SLICE: _slice, Policy.NONE: _none}
)


def _slice_seconds(concurrency: Concurrency, rate: Rate) -> int:
    """Return how long a slice is: it reaches the first second that costs anything."""
    return max(concurrency.seconds, SLICE_SECONDS_MIN, rate.grace_seconds + 1)


def lead_seconds(concurrency: Concurrency) -> int:
    """Return how long before its end a slice is renewed."""
    return min(LEAD_SECONDS_MAX, max(concurrency.seconds, SLICE_SECONDS_MIN) // 2)


def is_sliced(session: Session) -> bool:
    """Tell whether less is set aside for an open leg than it was granted, and more is to follow."""
    paid, granted = session.reserved_seconds, session.credit_time_seconds
    return session.state.is_open and paid is not None and granted is not None and paid < granted


def awaits_renewal(session: Session) -> bool:
    """Tell whether a leg is to be looked at for its next slice: before this one ends, else for its end."""
    return is_sliced(session) and session.look_at < _paid_until(session)


def renewal_at(session: Session, concurrency: Concurrency) -> datetime:
    """Return when the slice of a leg must be renewed."""
    return _paid_until(session) - timedelta(seconds=lead_seconds(concurrency))


def renewed(session: Session, client: Client, balance: Balance, limits: Limits, now: datetime) -> Renewal:
    """Return a sliced leg with its next slice, as far as the client's money lasts, and when to look again.

    Time counts from the Accept, which is before the answer, so a slice is never shorter than it says.
    """
    rate, granted = session.rate, session.credit_time_seconds
    assert rate is not None, "what was granted has a price"
    assert granted is not None, "what is sliced was granted"
    money = payable(client, usable(client, balance.changed(reserved=-session.reserved)))
    if money is None:
        unlimited = session._replace(reserved=ZERO, reserved_seconds=None)
        return Renewal(unlimited._replace(look_at=_silent_at(unlimited, limits)), ran_dry=False)
    elapsed = max(session.facts.known_seconds, int((now - session.opened_at).total_seconds()))
    wanted = min(granted, elapsed + _slice_seconds(client.concurrency, rate))
    held = session.reserved_seconds if session.reserved and session.reserved_seconds else 0
    # What it holds stays its own, also when others have meanwhile cost more than there was.
    paid = max(held, credit_time(rate, max(money, session.reserved), wanted))
    reserved = session.reserved if paid == held else highest_cost(rate, paid)
    after = session._replace(reserved=reserved, reserved_seconds=paid)
    ran_dry = paid < wanted and paid - elapsed <= lead_seconds(client.concurrency)
    if ran_dry or paid >= granted:
        return Renewal(after._replace(look_at=_silent_at(after, limits)), ran_dry)
    return Renewal(after._replace(look_at=renewal_at(after, client.concurrency)), ran_dry)


def taken_again(session: Session, client: Client, balance: Balance, *, can_disconnect: bool) -> Renewal:
    """Return a leg that had given its money back with what it was granted for, as far as money is left.

    What is short may be topped up, like a slice, where the switch ends calls when asked to.
    """
    rate, granted = session.rate, session.credit_time_seconds
    money = payable(client, usable(client, balance))
    holds_nothing = client.postpaid or client.concurrency.policy is Policy.NONE
    if rate is None or granted is None or money is None or holds_nothing:
        return Renewal(session, ran_dry=False)
    paid = credit_time(rate, max(money, ZERO), granted)
    is_short = paid < granted
    reserved_seconds = None if is_short and not can_disconnect else paid
    after = session._replace(reserved=highest_cost(rate, paid), reserved_seconds=reserved_seconds)
    return Renewal(after, is_short)


def _paid_until(session: Session) -> datetime:
    return session.opened_at + timedelta(seconds=session.reserved_seconds or 0)


def _silent_at(session: Session, limits: Limits) -> datetime:
    """Return when a leg is given up of which nothing more is heard: never before its slice ends."""
    left = max(0, (session.credit_time_seconds or limits.max_call_seconds) - session.facts.known_seconds)
    given_up = session.last_heard_at + timedelta(seconds=left + limits.silence_margin_seconds)
    return max(given_up, _paid_until(session))
