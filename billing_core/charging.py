"""The use case of a turn: gather, decide each request in order of arrival, record; one transaction."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from billing_core.authorization import (
    Authenticated,
    AuthorizationRequest,
    Authorized,
    Candidate,
    Denied,
    Identified,
    ProofUsed,
    authenticate,
    identify,
)
from billing_core.books import Books, LegsRead, UnreadError
from billing_core.capacity import CounterKey, counter_keys
from billing_core.catalogue import Catalogue
from billing_core.client import Account
from billing_core.limits import Limits
from billing_core.ports import (
    DataRefusedError,
    Reboot,
    Storage,
    StorageDownError,
    Turn,
    TurnConflictError,
    UnknownRecord,
)
from billing_core.proof import ProofId
from billing_core.questions import authenticated, authorized, proof_id
from billing_core.records import Recorded, payer, recorded
from billing_core.refusals import NamelessRefusals
from billing_core.report import Report
from billing_core.session import Session

Request = AuthorizationRequest | Report | Reboot | UnknownRecord

_ATTEMPTS = 10
# An ended call is not repeated later than that.
_REMEMBERED = timedelta(days=35)


Outcome = Authorized | Authenticated | Denied | ProofUsed | Recorded


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


@dataclass(slots=True)
class _Demands:
    """What a turn that starts over must lock and read beyond what its requests show.

    It may go on with a catalogue behind the definitions if those are of `followed_version`, which the
    catalogue has just been brought nearer to, or whatever they are if it `may_be_stale`.
    """

    client_ids: set[int] = field(default_factory=set)
    leg_keys: set[bytes] = field(default_factory=set)
    reboots_of: set[str] = field(default_factory=set)
    followed_version: int | None = None
    may_be_stale: bool = False


class _Prepared(NamedTuple):
    """A request with all that could be found out before anything is locked."""

    request: Request
    identified: Candidate | Identified | Denied | None = None
    payer: Account | None = None

    def first_keys(self) -> tuple[bytes, ...]:
        """Return the name under which the leg is nearly always known."""
        match self.request:
            case AuthorizationRequest():
                return (self.request.leg_key,)
            case Report(linked=None):
                return self.request.leg_keys[:1]
            case Report():
                assert self.request.linked is not None
                return (self.request.linked[0],)
            case Reboot() | UnknownRecord():
                return ()

    def other_keys(self, known: Collection[bytes]) -> tuple[bytes, ...]:
        """Return what else the leg may be called, now that it is *known* which names have any legs."""
        report = self.request
        if not isinstance(report, Report) or any(key in known for key in self.first_keys()):
            return ()
        return (*report.leg_keys, report.further_key)

    def account(self) -> Account | None:
        match self.identified:
            case Candidate() | Identified() | Denied():
                return self.identified.account
            case None:
                return self.payer

    def proof_id(self) -> ProofId | None:
        """Return which proof the question rests on that serves one call, if it rests on one."""
        if not isinstance(self.request, AuthorizationRequest) or self.identified is None:
            return None
        return proof_id(self.request, self.identified)


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
        self._nameless = NamelessRefusals()
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
            except UnreadError as unread:
                demands.leg_keys |= unread.leg_keys
                demands.reboots_of |= unread.reboots_of
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
            books = self._gather(turn, prepared, demands, now)
            outcomes = [self._decide(books, item, now) for item in prepared]
            books.changes.refusals, nameless = self._nameless.bound(books.changes.refusals, now)
            turn.record(books.changes)
        # Not before it is committed: a turn that starts over has kept nothing.
        self._nameless = nameless
        return outcomes

    def _gather(self, turn: Turn, prepared: Sequence[_Prepared], demands: _Demands, now: datetime) -> Books:
        """Lock and read what deciding takes, in the lock order."""
        accounts = [item.account() for item in prepared]
        client_ids = demands.client_ids | {account.client_id for account in accounts if account is not None}
        # Whoever is named in a record is nearly always its leg's client; where nobody is, look first.
        nameless = [item for item, account in zip(prepared, accounts, strict=True) if account is None]
        if nameless:
            keys = {key for item in nameless for key in (*item.first_keys(), *item.other_keys(frozenset()))}
            client_ids |= turn.owners(keys)
        balances = turn.lock_balances(client_ids)
        if gone := client_ids - balances.keys():
            raise ClientsGoneError(gone)
        leg_keys = demands.leg_keys | {key for item in prepared for key in item.first_keys()}
        version, sessions = turn.sessions(leg_keys)
        known = {key for key, _ in sessions}
        if other_keys := {key for item in prepared for key in item.other_keys(known)} - leg_keys:
            leg_keys |= other_keys
            sessions = {**sessions, **turn.sessions(other_keys)[1]}
        reboots = turn.reboots(demands.reboots_of, now - _REMEMBERED) if demands.reboots_of else ()
        proof_ids = {id for item in prepared if (id := item.proof_id()) is not None}
        proofs = turn.proofs(proof_ids) if proof_ids else {}
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
        counters = turn.lock_counters(self._counter_keys(accounts, sessions.values(), is_stale))
        read = LegsRead(frozenset(leg_keys), sessions, frozenset(demands.reboots_of), reboots, proofs)
        return Books(balances, read, counters, self._catalogue.clients, is_stale=is_stale)

    def _counter_keys(
        self, accounts: Iterable[Account | None], sessions: Iterable[Session], is_stale: bool
    ) -> set[CounterKey]:
        """Return the shared counters that this turn may change or must obey.

        Which of them exist a stale catalogue can't tell, so then all are asked for.
        """
        legs: list[tuple[int, int | None]] = [
            (account.client_id, account.id) for account in accounts if account is not None
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
                    return authenticated(books, item.request, item.identified, now)
                return authorized(books, item.request, item.identified, self.limits, now)
            case Report():
                return recorded(books, item.request, item.payer, self._catalogue, self.limits, now)
            case Reboot():
                books.changes.reboots.append(item.request)
                return Recorded()
            case UnknownRecord():
                books.changes.unknown_records.append(item.request)
                return Recorded()
