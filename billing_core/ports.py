"""What charging needs from storage: small promises, kept by PostgreSQL and by a fake in memory."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from billing_core.balance import Balance
from billing_core.call_event import CallEvent
from billing_core.capacity import Counter, CounterKey
from billing_core.denial import Denial
from billing_core.ledger import Entry
from billing_core.notice import Notice
from billing_core.proof import Proof, ProofId
from billing_core.session import LegId, Session
from billing_core.xdr import Xdr


class TurnConflictError(Exception):
    """Another turn was first, or the database broke a deadlock: nothing was written, begin again."""


class StorageDownError(Exception):
    """The database can't be reached or does not answer in time; whether a commit arrived is unknown."""


class DataRefusedError(Exception):
    """The database refuses a value of this batch; without it the others would pass."""


class Reboot(NamedTuple):
    """A switch said that it starts or shuts down (Accounting-On or -Off): its legs are gone.

    Only legs of its device (see `is_same_device`) that were opened before `event_at` are.
    """

    nas: str
    nas_box: str
    event_at: datetime
    starting: bool
    nas_address: str = ""
    nas_source: str = ""


class UnknownRecord(NamedTuple):
    """A record of a kind that we do not know, as it came: `attributes` is JSON text of names and values."""

    nas: str
    nas_box: str
    at: datetime
    status: int
    session_id: str
    attributes: str


class Refusal(NamedTuple):
    """The record of a call that was not let start; `facts` is JSON text of what the decision saw."""

    at: datetime
    nas: str
    leg_key: bytes
    call_id: str
    session_id: str
    client_id: int | None
    account_id: int | None
    calling: str
    called: str
    reason: Denial
    facts: str


class DisconnectReason(StrEnum):
    """Why a switch is to end a call: no money for its next slice, its client stopped or without money."""

    SLICE_RAN_DRY = "slice_ran_dry"
    CLIENT_STOPPED = "client_stopped"
    NO_MONEY = "no_money"


class DisconnectOutcome(StrEnum):
    """What became of asking a switch: it will end the call, does not know it, won't end it, or said nothing.

    ENDED: the call was over by itself, whatever the switch said. IGNORED: it went on although the switch
    had said that it would end it. WITHDRAWN: it may go on, since the reason to end it is gone.
    """

    ACKNOWLEDGED = "acknowledged"
    UNKNOWN_CALL = "unknown_call"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    ENDED = "ended"
    IGNORED = "ignored"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A leg that its switch is to be asked to end; asked for again, it stays the one that it was."""

    leg_key: bytes
    generation: int
    nas: str
    reason: DisconnectReason
    asked_at: datetime


@dataclass(slots=True)
class Changes:
    """Everything that a turn writes: whole sessions, new xDRs, entries and refusals, differences of sums.

    `forgotten` are ended legs that are not remembered any more.

    `at` is the moment of the turn: it dates the entries, and tells when the xDRs were recorded, so that
    both are kept, and dropped one day, with the same month. `disconnects` are legs that their switches
    are to end. `warned` are the bits of balances that change, `notices` those who are to be told, `events`
    what an admin should know of single calls. `proofs` is what proofs have served, each under its own id.
    """

    sessions: dict[LegId, Session] = field(default_factory=dict)
    forgotten: list[LegId] = field(default_factory=list)
    xdrs: list[Xdr] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    balances: dict[int, Balance] = field(default_factory=dict)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    reboots: list[Reboot] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    unknown_records: list[UnknownRecord] = field(default_factory=list)
    disconnects: list[Disconnect] = field(default_factory=list)
    warned: dict[int, int] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    events: list[CallEvent] = field(default_factory=list)
    proofs: dict[ProofId, Proof] = field(default_factory=dict)
    at: datetime | None = None

    def __bool__(self) -> bool:
        """Tell whether there is anything to write."""
        records = self.reboots or self.refusals or self.unknown_records
        return bool(self.sessions or records or self.warned or self.events)


class Turn(Protocol):
    """One transaction. The calls are made in the order in which they stand here, which is the lock order."""

    def owners(self, leg_keys: Collection[bytes]) -> AbstractSet[int]:
        """Return the clients of those legs that are known. Locks nothing."""

    def lock_balances(self, client_ids: Collection[int]) -> Mapping[int, Balance]:
        """Lock the clients' balances, in order of id, until the end of the turn, and return them."""

    def sessions(self, leg_keys: Collection[bytes]) -> tuple[int, Mapping[LegId, Session]]:
        """Return the definitions' version, and all sessions of these names, now that clients are locked."""

    def reboots(self, nas: Collection[str], since: datetime) -> Sequence[Reboot]:
        """Return when devices of these switches began anew from *since* on. Locks nothing."""

    def proofs(self, ids: Collection[ProofId]) -> Mapping[ProofId, Proof]:
        """Return what these proofs have served, now that their clients are locked."""

    def lock_counters(self, keys: Collection[CounterKey]) -> Mapping[CounterKey, Counter]:
        """Lock those shared counters that exist, in order, until the end of the turn, and return them."""

    def record(self, changes: Changes) -> None:
        """Write everything and commit: when this returns, it is on stable storage."""


class SweepTurn(Turn, Protocol):
    """A turn that nobody waits for, which looks after legs that fell silent."""

    def alone(self) -> bool:
        """Tell whether nobody else sweeps this database until the end of the turn."""

    def due(self, now: datetime, most: int) -> Sequence[LegId]:
        """Return at most *most* open legs that are to be looked at by *now*."""

    def next_reboot(self) -> tuple[int, Reboot] | None:
        """Return the oldest reboot, with its id, whose legs are not all closed yet."""

    def legs_before(self, reboot: Reboot, most: int) -> Sequence[LegId]:
        """Return at most *most* open legs that the reboot ended."""

    def reboot_done(self, reboot_id: int) -> None:
        """Mark a reboot as worked off."""

    def forget_proofs(self, before: datetime) -> None:
        """Forget what was proven before then, and commit: the last that a turn does which does no more."""


class Storage(Protocol):
    """Where turns come from. Leaving a turn without ``record`` undoes it."""

    def turn(self) -> AbstractContextManager[Turn]:
        """Begin a turn."""
