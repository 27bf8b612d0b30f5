"""The use case of a turn: gather, decide each request in order of arrival, record; one transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from billing_core import decision
from billing_core.accounting import (
    Kind,
    Report,
    hear,
    is_further_leg,
    is_of_earlier_generation,
    opens_generation,
)
from billing_core.authorization import (
    Authenticated,
    AuthorizationRequest,
    Authorized,
    Candidate,
    Denied,
    Identified,
    authenticate,
    decide,
    identify,
)
from billing_core.balance import available
from billing_core.books import Books
from billing_core.capacity import CounterKey, counter_keys
from billing_core.catalogue import Catalogue
from billing_core.client import Account
from billing_core.concurrency import is_sliced
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.opening import granted, opened, releases
from billing_core.ports import (
    DataRefusedError,
    Reboot,
    Refusal,
    Storage,
    StorageDownError,
    Turn,
    TurnConflictError,
    UnknownRecord,
)
from billing_core.session import Leg, Session, State
from billing_core.settlement import settle
from billing_core.xdr import Xdr

Request = AuthorizationRequest | Report | Reboot | UnknownRecord

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Recorded:
    """An accounting record is on stable storage. `is_duplicate` tells that it said nothing new.

    `charged` is what was posted because of it, beyond what was posted for the leg before.
    """

    session: Session | None = None
    xdr: Xdr | None = None
    charged: Decimal = ZERO
    is_duplicate: bool = False


Outcome = Authorized | Authenticated | Denied | Recorded


class StaleCatalogueError(TurnConflictError):
    """Definitions have changed since the catalogue was read: the turn starts over with the newer ones."""


class LockSetGrewError(TurnConflictError):
    """A leg turned out to belong to a client who was not locked: the turn starts over with him."""

    def __init__(self, client_ids: set[int]) -> None:
        """Name the clients that were missing."""
        super().__init__(client_ids)
        self.client_ids = client_ids


class ClientsGoneError(TurnConflictError):
    """Clients were removed for good: the turn starts over with what they are by now, nobody."""

    def __init__(self, client_ids: set[int]) -> None:
        """Name the clients who have no balance any more."""
        super().__init__(client_ids)
        self.client_ids = client_ids


class UnreadLegError(TurnConflictError):
    """A leg matters that nobody expected to: the turn starts over and reads it, too."""

    def __init__(self, leg_key: bytes) -> None:
        """Name the leg."""
        super().__init__(leg_key)
        self.leg_key = leg_key


@dataclass(slots=True)
class _Demands:
    """What a turn that starts over must lock and read beyond what its requests show.

    It may go on with a catalogue behind the definitions if those are of `followed_version`, which the
    catalogue has just been brought nearer to, or whatever they are if it `may_be_stale`.
    """

    client_ids: set[int] = field(default_factory=set)
    leg_keys: set[bytes] = field(default_factory=set)
    followed_version: int | None = None
    may_be_stale: bool = False


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request with all that could be found out before anything is locked."""

    request: Request
    identified: Candidate | Identified | Denied | None = None
    payer: Account | None = None

    def first_keys(self) -> tuple[bytes, ...]:
        """Return the name under which the leg is nearly always known."""
        match self.request:
            case AuthorizationRequest():
                return (self.request.leg_key,)
            case Report():
                return self.request.leg_keys[:1]
            case Reboot() | UnknownRecord():
                return ()

    def other_keys(self, sessions: Mapping[bytes, Session]) -> tuple[bytes, ...]:
        """Return what else the leg may be called, now that the *sessions* of the first names are known."""
        report = self.request
        if not isinstance(report, Report):
            return ()
        known = sessions.get(report.leg_keys[0])
        if known is None:
            return (*report.leg_keys[1:], report.further_key)
        return (report.further_key,) if is_further_leg(known, report) else ()

    def account(self) -> Account | None:
        match self.identified:
            case Candidate() | Identified() | Denied():
                return self.identified.account
            case None:
                return self.payer


class Charging:
    """Decides batches of requests against one catalogue and one storage."""

    def __init__(
        self,
        storage: Storage,
        catalogue: Catalogue,
        limits: Limits,
        refresh: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Work on *storage*, by the definitions in *catalogue*, which *refresh* brings nearer to today's.

        *refresh* returns the version of the definitions that it has taken a piece of, None if unknown.
        """
        self._storage = storage
        self._catalogue = catalogue
        self._refresh = refresh
        self._is_behind = False
        self.limits = limits

    def handle(self, requests: Sequence[Request], now: datetime) -> list[Outcome]:
        """Decide *requests* in their order and return as many outcomes, all of them committed.

        Raises what storage raises; then nothing of the batch has happened.
        """
        # While a large change is taken over, a turn would only learn under its locks what is known before.
        demands = _Demands(followed_version=self._refresh() if self._is_behind else None)
        for _ in range(_ATTEMPTS):
            prepared = [self._prepare(request, now) for request in requests]
            try:
                return self._turn(prepared, demands, now)
            except StaleCatalogueError:
                # Once is enough: a large change is taken over in pieces, and no turn waits for it.
                self._refresh()
                demands.may_be_stale = True
            except ClientsGoneError as gone:
                demands.client_ids -= gone.client_ids
                for client_id in gone.client_ids:
                    self._catalogue.remove_client(client_id)
            except LockSetGrewError as grew:
                demands.client_ids |= grew.client_ids
            except UnreadLegError as unread:
                demands.leg_keys.add(unread.leg_key)
            except TurnConflictError:
                continue
        raise DataRefusedError(f"the same turn met a conflict {_ATTEMPTS} times")

    def _prepare(self, request: Request, now: datetime) -> _Prepared:
        match request:
            case AuthorizationRequest():
                if request.authentication_only:
                    return _Prepared(request, identified=authenticate(request, self._catalogue))
                return _Prepared(request, identified=identify(request, self._catalogue, now))
            case Report():
                return _Prepared(request, payer=payer(request, self._catalogue))
            case Reboot() | UnknownRecord():
                return _Prepared(request)

    def _turn(self, prepared: Sequence[_Prepared], demands: _Demands, now: datetime) -> list[Outcome]:
        with self._storage.turn() as turn:
            books = self._gather(turn, prepared, demands)
            outcomes = [self._decide(books, item, now) for item in prepared]
            turn.record(books.changes)
        return outcomes

    def _gather(self, turn: Turn, prepared: Sequence[_Prepared], demands: _Demands) -> Books:
        """Lock and read what deciding takes, in the lock order."""
        accounts = [item.account() for item in prepared]
        client_ids = demands.client_ids | {account.client_id for account in accounts if account is not None}
        # Whoever is named in a record is nearly always its leg's client; where nobody is, look first.
        nameless = [item for item in prepared if item.account() is None]
        if nameless:
            keys = {key for item in nameless for key in (*item.first_keys(), *item.other_keys({}))}
            client_ids |= {owner for owner in turn.owners(keys).values() if owner is not None}
        balances = turn.lock_balances(client_ids)
        if gone := client_ids - balances.keys():
            raise ClientsGoneError(gone)
        leg_keys = demands.leg_keys | {key for item in prepared for key in item.first_keys()}
        version, sessions = turn.sessions(leg_keys)
        if other_keys := {key for item in prepared for key in item.other_keys(sessions)}:
            leg_keys |= other_keys
            sessions = {**sessions, **turn.sessions(other_keys)[1]}
        is_stale = self._is_behind = version != self._catalogue.version
        if is_stale and version != demands.followed_version and not demands.may_be_stale:
            raise StaleCatalogueError
        missing = {s.client_id for s in sessions.values() if s.client_id is not None} - client_ids
        if missing:
            raise LockSetGrewError(missing)
        unknown = client_ids - self._catalogue.clients.keys()
        if unknown and is_stale:
            raise StorageDownError(f"clients {unknown} are newer than this worker's catalogue")
        if unknown:
            raise DataRefusedError(f"clients {unknown} have legs or balances but are not defined")
        counters = turn.lock_counters(self._counter_keys(prepared, sessions.values(), is_stale))
        return Books(balances, leg_keys, sessions, counters, self._catalogue.clients, is_stale=is_stale)

    def _counter_keys(
        self, prepared: Sequence[_Prepared], sessions: Iterable[Session], is_stale: bool
    ) -> set[CounterKey]:
        """Return the shared counters that this turn may change or must obey.

        Which of them exist a stale catalogue can't tell, so then all are asked for.
        """
        legs: list[tuple[int, int | None]] = [
            (account.client_id, account.id) for item in prepared if (account := item.account())
        ]
        legs += [(s.client_id, s.account_id) for s in sessions if s.client_id is not None]
        clients = self._catalogue.clients
        if is_stale:
            return {
                key for client_id, account_id in legs for key in counter_keys(clients[client_id], account_id)
            }
        return {key for leg in set(legs) for key in self._catalogue.counter_keys(*leg)}

    def _decide(self, books: Books, item: _Prepared, now: datetime) -> Outcome:
        match item.request:
            case AuthorizationRequest():
                assert item.identified is not None
                if isinstance(item.identified, Identified):
                    client = item.identified.client
                    money = available(client, books.balances[client.id])
                    return Authenticated(client, item.identified.account, money)
                return self._authorize(books, item.request, item.identified, now)
            case Report():
                return self._account(books, item.request, item.payer, now)
            case Reboot():
                books.changes.reboots.append(item.request)
                return Recorded()
            case UnknownRecord():
                books.changes.unknown_records.append(item.request)
                return Recorded()

    def _authorize(
        self,
        books: Books,
        request: AuthorizationRequest,
        identified: Candidate | Denied,
        now: datetime,
    ) -> Authorized | Denied:
        known = books.sessions.get(request.leg_key)
        under_way = known if known is not None and known.state.is_open else None
        if isinstance(identified, Denied):
            refusal = decision.refused(request, identified, identified.rate, None, now)
            return _refuse(books, identified, refusal, under_way, now)
        balance = books.balances[identified.client.id]
        outcome = decide(
            identified,
            balance,
            books.counters,
            under_way,
            self.limits,
            now,
            can_disconnect=request.can_disconnect,
        )
        seen = decision.Seen(balance, books.counters, under_way, self.limits)
        if isinstance(outcome, Denied):
            refusal = decision.refused(request, outcome, identified.rate, seen, now)
            return _refuse(books, outcome, refusal, under_way, now)
        text = decision.accepted(request, outcome, seen, now)
        books.put(granted(request, outcome, known, self.limits, now, text), now)
        return outcome

    def _account(self, books: Books, report: Report, account: Account | None, now: datetime) -> Recorded:
        known = books.first_session(report.leg_keys)
        earlier = None
        if known is not None and is_further_leg(known, report):
            key = report.further_key
            if key not in books.leg_keys:
                raise UnreadLegError(key)
            report = replace(report, leg=Leg.FURTHER, leg_keys=(key,))
            known = books.sessions.get(key)
        if known is not None and opens_generation(known, report, now):
            earlier, known = known, None
        elif known is not None and is_of_earlier_generation(known, report, now):
            return Recorded(known, is_duplicate=True)
        session = known or opened(report, account, earlier, self.limits, now)
        heard = hear(session, report, self.limits, now)
        if heard is known:
            return Recorded(known, is_duplicate=True)
        xdr = None
        if heard.state is State.CLOSED:
            heard, xdr = settle(heard, self._catalogue, self.limits)
        if is_sliced(heard):
            heard = books.renew(heard, self.limits, now, can_disconnect=report.can_disconnect)
        else:
            books.put(heard, now, xdr)
        return Recorded(
            heard,
            xdr,
            charged=heard.posted - (known.posted if known else ZERO),
            is_duplicate=known is not None and _says_nothing_new(known, heard, report),
        )


def _refuse(
    books: Books, denied: Denied, refusal: Refusal, under_way: Session | None, now: datetime
) -> Denied:
    """Keep the record of a refused call, and what it was granted before goes back unless it has started."""
    books.changes.refusals.append(refusal)
    if under_way is not None and releases(denied, under_way):
        books.put(under_way.released(now), now)
    return denied


def payer(report: Report, catalogue: Catalogue) -> Account | None:
    """Return whose leg it is when it was never authorized."""
    return catalogue.payer(
        report.leg,
        name=report.name,
        ip=report.ip,
        calling=report.calling,
        called=report.called,
        termination_address=report.termination_address,
    )


def _says_nothing_new(before: Session, after: Session, report: Report) -> bool:
    """Tell whether a record repeats another. An Interim renews the session even when it repeats."""
    same = before.facts == after.facts and before.state is after.state
    return same and report.kind is not Kind.INTERIM
