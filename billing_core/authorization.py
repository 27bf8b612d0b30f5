"""May a call start, and for how long? Pure: the answer follows from the request and the facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from billing_core.balance import Balance, available, usable
from billing_core.capacity import Counter, CounterKey, exhausted
from billing_core.catalogue import Catalogue, Recognition
from billing_core.client import Account, Client, Status
from billing_core.credit_time import credit_time, highest_cost
from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.number import normalise
from billing_core.rate_table import Rate
from billing_core.session import Session


class Credential(Protocol):
    """Something by which a caller proves that he knows an account's password."""

    def proves(self, password: str) -> bool:
        """Tell whether it was made from *password*."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A softswitch asks whether a call may start.

    `leg_key` is the origination leg it opens; `ip` the caller's address as the dialect carries it,
    not the switch's; `called` the number as dialled. `malformed` says what contradicts itself.
    """

    nas: str
    nas_box: str
    leg_key: bytes
    call_id: str
    session_id: str
    name: str | None
    credential: Credential | None
    ip: str | None
    calling: str
    called: str
    sends_start: bool = False
    malformed: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A call that may start if there is capacity and money for it."""

    client: Client
    account: Account
    rate: Rate
    number: str


@dataclass(frozen=True, slots=True)
class Authorized:
    """The call may start and must end within `credit_time_seconds`; `reserved` was set aside for it.

    `available` is the client's money before the call, None when he has no limit.
    """

    candidate: Candidate
    credit_time_seconds: int
    reserved: Decimal
    available: Decimal | None

    def __post_init__(self) -> None:
        """A NAS takes a missing credit time for an endless one, and some take 0 for it: never send either."""
        assert self.credit_time_seconds > 0


@dataclass(frozen=True, slots=True)
class Denied:
    """The call may not start."""

    reason: Denial
    client: Client | None = None
    account: Account | None = None


def identify(request: AuthorizationRequest, catalogue: Catalogue, now: datetime) -> Candidate | Denied:
    """Find who calls and at which rate: all checks that need neither money nor capacity, in order."""
    if request.malformed:
        return Denied(Denial.MALFORMED)
    account = _account(request, catalogue)
    if account is None:
        return Denied(Denial.UNKNOWN_ACCOUNT)
    client = catalogue.clients[account.client_id]
    if request.credential is not None and not _proven(request.credential, account):
        return Denied(Denial.BAD_PASSWORD, client, account)
    if client.status is not Status.ACTIVE:
        return Denied(Denial.CLIENT_STOPPED, client, account)
    if not account.orig:
        return Denied(Denial.ACCOUNT_OFF, client, account)
    number = normalise(request.called.removeprefix(account.tech_prefix))
    rate = catalogue.rate(client, client.rate_table_id, number, now) if number else None
    if rate is None or number is None:
        return Denied(Denial.NO_RATE, client, account)
    if rate.blocked:
        return Denied(Denial.BLOCKED, client, account)
    return Candidate(client, account, rate, number)


def _account(request: AuthorizationRequest, catalogue: Catalogue) -> Account | None:
    """Return the account that calls. A request with a credential is decided by its name alone."""
    if request.credential is not None:
        return catalogue.recognise(Recognition.NAME, request.name, request.called)
    by_ip = catalogue.recognise(Recognition.IP, request.ip, request.called)
    return by_ip or catalogue.recognise(Recognition.ANI, normalise(request.calling), request.called)


def _proven(credential: Credential, account: Account) -> bool:
    """Tell whether the caller knows the account's password; without one, nobody does."""
    return bool(account.password) and credential.proves(account.password or "")


def decide(
    candidate: Candidate,
    balance: Balance,
    counters: Mapping[CounterKey, Counter],
    session: Session | None,
    limits: Limits,
    now: datetime,
) -> Authorized | Denied:
    """Decide on a candidate. *session* is the same call's own grant, if it has one that is still open.

    What the call itself holds already, place and money, is its own to use again; of a call under
    way the time that has passed is already spent.
    """
    client, account = candidate.client, candidate.account
    if session is not None and session.account_id != account.id:
        return Denied(Denial.MALFORMED, client, account)
    full = exhausted(client, account, balance, counters, held=1 if session else 0)
    if full is not None:
        return Denied(full, client, account)
    spent_seconds = session.elapsed_seconds(now) if session else 0
    money = usable(client, balance.changed(reserved=-session.reserved) if session else balance)
    seconds, reserved = limits.max_call_seconds, ZERO
    if money is not None:
        seconds = credit_time(candidate.rate, money, limits.max_call_seconds)
        reserved = highest_cost(candidate.rate, seconds)
    if seconds <= max(candidate.rate.grace_seconds, spent_seconds):
        return Denied(_too_little(client, money), client, account)
    return Authorized(candidate, seconds - spent_seconds, reserved, available(client, balance))


def _too_little(client: Client, money: Decimal | None) -> Denial:
    """Name why no time is left; a call may also have used up the longest time that any call has."""
    if money is None or money > ZERO:
        return Denial.TOO_LITTLE
    return Denial.CREDIT_LIMIT if client.credit > ZERO else Denial.NO_MONEY
