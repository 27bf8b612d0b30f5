"""What deciding on a call saw, kept as compact JSON so that the decision can be explained later. Pure.

An accepted call keeps it in its session, a refused one in a record of its own. Amounts are texts,
moments RFC 3339. Fields that say nothing (no tech prefix, no end) are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from billing_core.authorization import AuthorizationRequest, Authorized, Denied
from billing_core.balance import Balance, available, payable, usable
from billing_core.capacity import Counter, CounterKey, Scope
from billing_core.catalogue import Recognition
from billing_core.client import Account, Client, Policy
from billing_core.credit_time import highest_cost
from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.money import ONE, ZERO, plain
from billing_core.ports import Refusal
from billing_core.rate_table import Rate
from billing_core.report import Report
from billing_core.session import Session

_OF_MONEY = frozenset({Denial.NO_MONEY, Denial.CREDIT_LIMIT, Denial.TOO_LITTLE})


@dataclass(frozen=True, slots=True)
class Seen:
    """The money and places as they were before the decision.

    `session` is the grant under the call's name that was still open. If it is by the same account, its
    place and money are in the sums, and are its own to use again.
    """

    balance: Balance
    counters: Mapping[CounterKey, Counter]
    session: Session | None
    limits: Limits

    def own(self, account: Account) -> Session | None:
        """Return what the call of *account* holds itself."""
        return self.session if self.session and self.session.account_id == account.id else None


def accepted(request: AuthorizationRequest, outcome: Authorized, seen: Seen, now: datetime) -> str:
    """Return what an accepted call was granted for."""
    candidate = outcome.candidate
    spent_seconds = seen.session.elapsed_seconds(now) if seen.session else 0
    facts = _facts(request, candidate.client, candidate.account, candidate.rate, seen, now)
    facts["seconds"] = outcome.credit_time_seconds
    seconds = outcome.credit_time_seconds + spent_seconds
    facts["bound"] = _bound(candidate.client, candidate.account, seconds, seen)
    facts["set_aside"] = _short(outcome.reserved)
    if outcome.reserved_seconds not in (None, seconds):
        facts["set_aside_seconds"] = outcome.reserved_seconds
    return _text(facts)


def refused(
    request: AuthorizationRequest, denied: Denied, rate: Rate | None, seen: Seen | None, now: datetime
) -> Refusal:
    """Return the record of a refused call; *rate* and *seen* are absent if it did not come so far."""
    client, account = denied.client, denied.account
    facts: dict[str, Any] = {"name": request.name, "ip": request.ip}
    if client is not None and account is not None:
        facts |= _facts(request, client, account, rate, seen, now)
    if denied.because:
        facts["because"] = denied.because
    if rate is not None and denied.reason in _OF_MONEY:
        facts["needed"] = _short(highest_cost(rate, max(1, rate.grace_seconds + 1)))
    return Refusal(
        at=now,
        nas=request.nas,
        leg_key=request.leg_key,
        call_id=request.call_id,
        session_id=request.session_id,
        client_id=client.id if client else None,
        account_id=account.id if account else None,
        calling=request.calling,
        called=request.called,
        reason=denied.reason,
        facts=_text({key: value for key, value in facts.items() if value is not None}),
    )


def _facts(
    request: AuthorizationRequest,
    client: Client,
    account: Account,
    rate: Rate | None,
    seen: Seen | None,
    now: datetime,
) -> dict[str, Any]:
    facts: dict[str, Any] = {"at": now, "by": recognised_by(request, account).value}
    if account.tech_prefix:
        facts["tech_prefix"] = account.tech_prefix
    if rate is not None:
        facts |= _terms(rate)
    if seen is not None:
        facts |= _money(client, seen, seen.own(account))
        facts["capacity"] = _places(client, account, seen)
        facts["max_call_seconds"] = seen.limits.max_call_seconds
    return facts


def recognised_by(request: AuthorizationRequest, account: Account) -> Recognition:
    """Return by what the account was found."""
    if request.is_by_name:
        return Recognition.NAME
    return Recognition.IP if account.ip is not None and account.ip == request.ip else Recognition.ANI


def _terms(rate: Rate) -> dict[str, Any]:
    terms: dict[str, Any] = {
        "code": rate.code,
        "price": _short(rate.price_per_minute),
        "setup_fee": _short(rate.setup_fee),
        "volume": [rate.min_volume_seconds, rate.interval_seconds, rate.grace_seconds],
    }
    if rate.effective_from is not None:
        terms["effective_from"] = rate.effective_from
    if rate.time_profile is not None:
        terms["time_profile"] = rate.time_profile
    if rate.factor != ONE:
        terms["factor"] = _short(rate.factor)
    return terms


def _money(client: Client, seen: Seen, session: Session | None) -> dict[str, Any]:
    own = session.reserved if session else ZERO
    left = _usable(client, seen, session)
    money: dict[str, Any] = {
        "policy": client.concurrency.policy.value,
        "live": _short(seen.balance.live),
        "credit": _short(client.credit),
        "reserved": _short(seen.balance.reserved),
        "usable": None if left is None else _short(left),
    }
    if client.concurrency.policy is Policy.SHARE:
        money["share_among"] = client.concurrency.calls
    if own:
        money["own"] = _short(own)
    if client.charge_max is not None:
        money["charge_max"] = _short(client.charge_max)
    return money


def _usable(client: Client, seen: Seen, session: Session | None) -> Decimal | None:
    left = usable(client, seen.balance)
    return left if left is None or session is None else left + session.reserved


def _places(client: Client, account: Account, seen: Seen) -> dict[str, Any]:
    """Return limit and legs under way at each level that has a limit, and of the client in any case."""
    places: dict[str, Any] = {"client": (client.capacity, seen.balance.in_use)}
    if (own := seen.counters.get((Scope.ACCOUNT, account.id))) is not None:
        places["account"] = (own.capacity, own.in_use)
    if (low := client.low_balance) is not None:
        places["low_balance"] = (low.capacity, seen.balance.in_use)
        places["low_balance_threshold"] = _short(low.threshold)
    counters = ((id, seen.counters.get((Scope.RESELLER, id))) for id in client.reseller_ids)
    resellers = [(id, counter.capacity, counter.in_use) for id, counter in counters if counter is not None]
    if resellers:
        places["resellers"] = resellers
    if seen.own(account) is not None:
        places["held"] = 1
    return places


def _bound(client: Client, account: Account, seconds: int, seen: Seen) -> str:
    """Name what made the time as long as it is: of several sums, the smallest."""
    if seconds >= seen.limits.max_call_seconds:
        return "max_call_seconds"
    policy, money = client.concurrency.policy, available(client, seen.balance)
    left = money if policy is Policy.NONE else _usable(client, seen, seen.own(account))
    sums = {"money": left, "charge_max": client.charge_max}
    if policy is Policy.SHARE and money is not None:
        sums["share"] = (payable(client, money) or ZERO) / client.concurrency.calls
    known = {name: sum for name, sum in sums.items() if sum is not None}
    return min(known, key=lambda name: known[name], default="max_call_seconds")


def _short(amount: Decimal) -> str:
    """Write an amount without zeros at its end, which say nothing and come and go with its history."""
    text = plain(amount)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text(facts: dict[str, Any]) -> str:
    return orjson.dumps(facts, option=orjson.OPT_UTC_Z).decode()


# --- legs that nobody was found for -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """By what a leg without a client may be recognised once its client is known."""

    name: str | None
    ip: str | None
    termination_address: str | None


def unrecognised_text(report: Report) -> str:
    """Return what a leg that nobody was found for keeps of its first record."""
    seen = {"name": report.name, "ip": report.ip, "termination_address": report.termination_address}
    return _text({"unrecognised": {key: value for key, value in seen.items() if value is not None}})


def unrecognised(decision: str | None) -> Unrecognised | None:
    """Read it again from `Session.decision`; None if the leg had a client or nothing was kept."""
    seen = read(decision).get("unrecognised")
    if not isinstance(seen, dict):
        return None
    return Unrecognised(seen.get("name"), seen.get("ip"), seen.get("termination_address"))


def read(decision: str | None) -> dict[str, Any]:
    """Return the facts of a decision's text; none of what is absent."""
    return dict(orjson.loads(decision)) if decision else {}
