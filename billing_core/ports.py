"""What charging needs from storage: small promises, kept by PostgreSQL and by a fake in memory."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from billing_core.balance import Balance
from billing_core.capacity import Counter, CounterKey
from billing_core.ledger import Entry
from billing_core.session import Session
from billing_core.xdr import Xdr


class TurnConflictError(Exception):
    """Another turn was first, or the database broke a deadlock: nothing was written, begin again."""


class StorageDownError(Exception):
    """The database can't be reached or does not answer in time; whether a commit arrived is unknown."""


class DataRefusedError(Exception):
    """The database refuses a value of this batch; without it the others would pass."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """A switch said that it starts or shuts down (Accounting-On or -Off): its legs are gone.

    Only legs opened before `event_at` are; `nas_box` tells one device of a NAS from another.
    """

    nas: str
    nas_box: str
    event_at: datetime
    starting: bool


@dataclass(slots=True)
class Changes:
    """Everything that a turn writes: whole sessions, new xDRs and entries, differences of sums."""

    sessions: dict[bytes, Session] = field(default_factory=dict)
    xdrs: list[Xdr] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    balances: dict[int, Balance] = field(default_factory=dict)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    reboots: list[Reboot] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.sessions or self.reboots)


class Turn(Protocol):
    """One transaction. The calls are made in the order in which they stand here, which is the lock order."""

    def owners(self, leg_keys: Collection[bytes]) -> Mapping[bytes, int | None]:
        """Return the clients of those legs that are known. Locks nothing."""

    def lock_balances(self, client_ids: Collection[int]) -> Mapping[int, Balance]:
        """Lock the clients' balances, in order of id, until the end of the turn, and return them."""

    def sessions(self, leg_keys: Collection[bytes]) -> tuple[int, Mapping[bytes, Session]]:
        """Return the definitions' version, and the sessions as they are now that their clients are locked."""

    def lock_counters(self, keys: Collection[CounterKey]) -> Mapping[CounterKey, Counter]:
        """Lock those shared counters that exist, in order, until the end of the turn, and return them."""

    def record(self, changes: Changes) -> None:
        """Write everything and commit: when this returns, it is on stable storage."""


class SweepTurn(Turn, Protocol):
    """A turn that nobody waits for, which looks after legs that fell silent."""

    def alone(self) -> bool:
        """Tell whether nobody else sweeps this database until the end of the turn."""

    def due(self, now: datetime, most: int) -> Sequence[bytes]:
        """Return the keys of at most *most* open legs that are to be looked at by *now*."""

    def next_reboot(self) -> tuple[int, Reboot] | None:
        """Return the oldest reboot, with its id, whose legs are not all closed yet."""

    def legs_before(self, reboot: Reboot, most: int) -> Sequence[bytes]:
        """Return the keys of at most *most* open legs that the reboot ended."""

    def reboot_done(self, reboot_id: int) -> None:
        """Mark a reboot as worked off."""


class Storage(Protocol):
    """Where turns come from. Leaving a turn without ``record`` undoes it."""

    def turn(self) -> AbstractContextManager[Turn]:
        """Begin a turn."""
