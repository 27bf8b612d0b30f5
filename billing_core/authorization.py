"""May a call start, and for how long? Pure: the answer follows from the request and the facts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from billing_core.balance import Balance, available, payable, usable
from billing_core.call_name import is_own_name
from billing_core.capacity import Counter, CounterKey, exhausted
from billing_core.catalogue import Catalogue, Recognition, marks
from billing_core.client import Account, Client, Status
from billing_core.concurrency import Demand, Grant, grant
from billing_core.credit_time import credit_time, dearer
from billing_core.denial import Denial
from billing_core.guards import Call, barred, refused_price
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.number import normalise
from billing_core.rate_table import Rate
from billing_core.session import Session


class Credential(Protocol):
    """Something by which a caller proves that he knows an account's password."""

    def proves(self, password: str) -> bool:
        """Tell whether it was made from *password*."""


class AuthorizationRequest(NamedTuple):
    """A softswitch asks whether a call may start.

    `leg_key` is the origination leg it opens; `ip` the caller's address as the dialect carries it,
    not the switch's; `called` the number as dialled. `malformed` says what contradicts itself.
    `can_disconnect` tells that the switch ends calls when it is asked to.
    `termination_address` is the vendor's to whom the call will go, if the switch knows him already.
    With `authentication_only` the switch asks who somebody is, with `name_is_trusted` it has seen to
    that itself. `barred` says why nobody may use an account this way, whatever he proves.
    `unchecked_proof` names an attribute that is to prove the caller in a way that is not checked here.
    `tags` tell its dialog from others of one call id, as far as the switch tells (SIP's From tag, a channel).
    `unheard_seconds` is how long a grant is kept that is never heard of, None: as long as it was granted for.
    Where the `path_is_trusted` the switch itself asks; elsewhere anybody might, who proves nothing.
    `proof_use` tells a response to a challenge of ours, which serves one call, from others; empty for none.
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
    can_disconnect: bool = False
    malformed: str | None = None
    termination_address: str | None = None
    authentication_only: bool = False
    name_is_trusted: bool = False
    barred: str = ""
    unchecked_proof: str = ""
    unsupported_digest: str = ""
    tags: tuple[str, ...] = ()
    unheard_seconds: int | None = None
    nas_address: str = ""
    nas_source: str = ""
    path_is_trusted: bool = True
    proof_use: bytes = b""

    @property
    def own_session_id(self) -> str:
        """Return the session id where it tells one conversation of the call id from another, else nothing."""
        return self.session_id if self.call_id and is_own_name(self.session_id, self.call_id) else ""

    @property
    def is_by_name(self) -> bool:
        """Tell whether its name alone decides whose call it is: one to be proven, or one that is trusted."""
        return self.credential is not None or (self.name_is_trusted and self.name is not None)


@dataclass(frozen=True, slots=True)
class Identified:
    """Somebody is who he says he is, and may use his account."""

    client: Client
    account: Account


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

    `available` is the client's money before the call, None when he has no limit. `reserved` pays the
    call's first `reserved_seconds`, None when nothing is set aside. `generation` is the leg's.
    """

    candidate: Candidate
    credit_time_seconds: int
    reserved: Decimal
    available: Decimal | None
    reserved_seconds: int | None = None
    generation: int = 0

    def __post_init__(self) -> None:
        """A NAS takes a missing credit time for an endless one, and some take 0 for it: never send either."""
        assert self.credit_time_seconds > 0


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Somebody was identified, and no call was asked for: nothing is reserved and no place is taken.

    `available` is the client's money, None when he has no limit.
    """

    client: Client
    account: Account
    available: Decimal | None


@dataclass(frozen=True, slots=True)
class Denied:
    """The call may not start, and `because` says in words what the reason leaves open.

    `rate` is absent where none was found, or a check before it failed.
    """

    reason: Denial
    client: Client | None = None
    account: Account | None = None
    rate: Rate | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class ProofUsed:
    """What proves the caller has served another call: nothing is decided until he proves himself anew."""

    client: Client
    account: Account


def authenticate(request: AuthorizationRequest, catalogue: Catalogue) -> Identified | Denied:
    """Find who asks, and whether he may use his account: the checks that need no number, in order."""
    if request.malformed:
        return Denied(Denial.MALFORMED, because=f"{request.malformed} is given twice")
    # CVE-2024-3596: without Message-Authenticator, whoever sends from a switch's address asks as it.
    if request.credential is None and not request.path_is_trusted:
        return Denied(Denial.UNTRUSTED_PATH)
    if denied := _unusable_proof(request):
        return denied
    account = _account(request, catalogue)
    if account is None:
        return Denied(Denial.UNKNOWN_ACCOUNT)
    client = catalogue.clients[account.client_id]
    if request.credential is not None and not _proven(request.credential, account):
        return Denied(Denial.BAD_PASSWORD, client, account)
    if client.status is not Status.ACTIVE:
        return Denied(Denial.CLIENT_STOPPED, client, account)
    if request.barred or not account.orig:
        return Denied(Denial.ACCOUNT_OFF, client, account, because=request.barred)
    return Identified(client, account)


def _unusable_proof(request: AuthorizationRequest) -> Denied | None:
    """Refuse a proof that nobody can check here, whoever asks."""
    if request.unchecked_proof:
        # RFC 2865 section 4.3: what cannot be accepted is refused, not left out of account.
        because = f"{request.unchecked_proof} is a proof that is not checked here"
        return Denied(Denial.BAD_PASSWORD, because=because)
    if request.unsupported_digest:
        # The password may be right: whoever looks for a wrong one looks in vain.
        return Denied(Denial.UNSUPPORTED_DIGEST, because=request.unsupported_digest)
    return None


def identify(request: AuthorizationRequest, catalogue: Catalogue, now: datetime) -> Candidate | Denied:
    """Find who calls and at which rate: all checks that need neither money nor capacity, in order."""
    found = authenticate(request, catalogue)
    if isinstance(found, Denied):
        return found
    return _priced(request, found.client, found.account, catalogue, now)


def _priced(
    request: AuthorizationRequest, client: Client, account: Account, catalogue: Catalogue, now: datetime
) -> Candidate | Denied:
    """Find the rate, and whether anything bars the call."""
    number = normalise(request.called.removeprefix(account.tech_prefix))
    call = Call(client, account, request.calling, number, request.termination_address)
    if block := barred(call, catalogue, now):
        return Denied(Denial.BLOCKED, client, account, because=block)
    rate = catalogue.rate(client, client.rate_table_id, number, now) if number else None
    if rate is None or number is None:
        return Denied(Denial.NO_RATE, client, account)
    if refused := refused_price(call, rate, catalogue, now):
        return Denied(Denial.BLOCKED, client, account, rate, refused)
    return Candidate(client, account, rate, number)


def _account(request: AuthorizationRequest, catalogue: Catalogue) -> Account | None:
    """Return the account that calls: by its name where that counts, else by its address, else by its ANI."""
    if request.is_by_name:
        return catalogue.recognise(Recognition.NAME, request.name, request.called)
    return catalogue.recognise_first(marks(None, request.ip, request.calling), request.called)


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
    *,
    can_disconnect: bool = False,
) -> Authorized | Denied:
    """Decide on a candidate. *session* is the open leg that the question is about, if it is about one.

    What the leg holds already, place and money, is its own to use again, and it never gets cheaper: it is
    granted time at the dearer of both rates, and keeps at least what is set aside for it. The time that has
    passed is already spent. *can_disconnect* tells that the switch ends calls when it is asked to.
    """
    client, account = candidate.client, candidate.account
    full = exhausted(client, account, balance, counters, held=1 if session else 0)
    if full is not None:
        return Denied(full, client, account)
    spent_seconds = session.elapsed_seconds(now) if session else 0
    others = balance.changed(reserved=-session.reserved) if session else balance
    rate = candidate.rate
    if session is not None and session.rate is not None:
        rate = dearer(session.rate, rate, limits.max_call_seconds)
    granted = _grant(client, rate, others, limits, spent_seconds, can_disconnect)
    if session is not None and granted.reserved < session.reserved:
        granted = _kept(session, granted, rate)
    if granted.seconds <= max(rate.grace_seconds, spent_seconds):
        return Denied(_too_little(client, usable(client, others)), client, account)
    return Authorized(
        candidate,
        granted.seconds - spent_seconds,
        granted.reserved,
        available(client, balance),
        granted.reserved_seconds,
    )


def _kept(session: Session, granted: Grant, rate: Rate) -> Grant:
    """Return the grant of a leg that has more set aside than it would be granted now: nothing goes back."""
    if rate is session.rate and session.credit_time_seconds is not None:
        return Grant(session.credit_time_seconds, session.reserved, session.reserved_seconds)
    return replace(granted, reserved=session.reserved)


def _grant(
    client: Client, rate: Rate, balance: Balance, limits: Limits, spent_seconds: int, can_disconnect: bool
) -> Grant:
    """Return how long the call may last, and what is set aside for it beside what *balance* reserves."""
    free, whole = payable(client, usable(client, balance)), payable(client, available(client, balance))
    if free is None or whole is None:
        return Grant(limits.max_call_seconds, ZERO, None)
    if client.postpaid:
        return Grant(credit_time(rate, free, limits.max_call_seconds), ZERO, None)
    demand = Demand(rate, free, whole, limits.max_call_seconds, spent_seconds)
    return grant(client.concurrency, demand, can_disconnect=can_disconnect)


def _too_little(client: Client, money: Decimal | None) -> Denial:
    """Name why no time is left; a call may also have used up the longest time that any call has."""
    if money is None or money > ZERO:
        return Denial.TOO_LITTLE
    return Denial.CREDIT_LIMIT if client.credit > ZERO else Denial.NO_MONEY
