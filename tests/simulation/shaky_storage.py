"""Storage in memory whose turns can be interrupted, made to wait for each other, and killed at the commit."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from memory import MemoryStorage, MemoryTurn

from billing_core.balance import Balance
from billing_core.ledger import Entry
from billing_core.ports import Changes, StorageDownError, TurnConflictError
from billing_core.session import LegId, Session


class WouldWaitError(Exception):
    """Another turn has locked what this one wants: a database lets it wait, here it comes again later."""


class DiedError(Exception):
    """The worker that ran this turn is dead; nobody got its answers."""


FAULTS = ("dies_before_commit", "dies_after_commit", "cut_before_commit", "cut_after_commit", "conflict")
"""What can befall a turn that records: its worker dies, its connection is cut, or another was first."""


@dataclass(slots=True)
class ShakyStorage(MemoryStorage):
    """What is committed, and who has locked what.

    `pause` is called between the steps of a turn, when other workers may run; `next_fault` says what befalls
    the turn that is about to commit.
    """

    owners_of_locks: dict[object, "ShakyTurn"] = field(default_factory=dict)
    pause: Callable[[], None] = lambda: None
    next_fault: Callable[[], str | None] = lambda: None
    commits: int = 0

    @contextmanager
    def turn(self) -> Iterator["ShakyTurn"]:
        """Begin a turn; leaving it gives its locks back."""
        turn = ShakyTurn(self)
        try:
            yield turn
        finally:
            for key in [key for key, owner in self.owners_of_locks.items() if owner is turn]:
                del self.owners_of_locks[key]

    def book(self, entry: Entry) -> None:
        """Book an operator's payment. Raises WouldWaitError."""
        if ("client", entry.client_id) in self.owners_of_locks:
            raise WouldWaitError
        self.entries.append(entry)
        self.balances[entry.client_id] = self.balances[entry.client_id].changed(live=entry.amount)
        self.commits += 1


class ShakyTurn(MemoryTurn):
    """A turn that is not alone: between its steps others commit whatever it has not locked."""

    def __init__(self, storage: ShakyStorage) -> None:
        super().__init__(storage)
        self._shaky = storage
        self._known: set[LegId] = set()

    def _lock(self, keys: Collection[object]) -> None:
        owners = self._shaky.owners_of_locks
        if any(owners.get(key, self) is not self for key in keys):
            raise WouldWaitError
        owners.update(dict.fromkeys(keys, self))

    def lock_balances(self, client_ids: Collection[int]) -> Mapping[int, Balance]:
        self._shaky.pause()
        self._lock([("client", id) for id in client_ids])
        return super().lock_balances(client_ids)

    def sessions(self, leg_keys: Collection[bytes]) -> tuple[int, Mapping[LegId, Session]]:
        self._shaky.pause()
        version, found = super().sessions(leg_keys)
        # A leg of nobody has no client whose lock would protect it, so the leg itself is locked.
        self._lock([("leg", id) for id, session in found.items() if session.client_id is None])
        self._known |= found.keys()
        return version, found

    def record(self, changes: Changes) -> None:
        self._shaky.pause()
        fault = self._shaky.next_fault()
        if fault == "dies_before_commit":
            raise DiedError
        if fault == "cut_before_commit":
            raise StorageDownError("the connection was cut before the commit")
        stored = self._shaky.sessions
        if fault == "conflict" or any(id in stored for id in changes.sessions.keys() - self._known):
            raise TurnConflictError("another turn was first")
        super().record(changes)
        self._shaky.commits += 1
        if fault == "dies_after_commit":
            raise DiedError
        if fault == "cut_after_commit":
            raise StorageDownError("the connection was cut after the commit")
