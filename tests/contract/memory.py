"""Storage in memory, which keeps the promises of the ports in the simplest way: one turn at a time."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from billing_core.balance import Balance
from billing_core.call_event import CallEvent
from billing_core.capacity import Counter, CounterKey
from billing_core.ledger import Entry
from billing_core.notice import Notice
from billing_core.ports import Changes, DataRefusedError, Disconnect, Reboot, Refusal, UnknownRecord
from billing_core.proof import Proof, ProofId
from billing_core.session import LegId, Session, is_same_device
from billing_core.xdr import Xdr


@dataclass(slots=True)
class MemoryStorage:
    """Everything that PostgreSQL keeps, in dicts and lists."""

    version: int = 0
    balances: dict[int, Balance] = field(default_factory=dict)
    counters: dict[CounterKey, Counter] = field(default_factory=dict)
    sessions: dict[LegId, Session] = field(default_factory=dict)
    xdrs: list[Xdr] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    reboots: list[Reboot] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    unknown_records: list[UnknownRecord] = field(default_factory=list)
    disconnects: dict[tuple[bytes, int], Disconnect] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    proofs: dict[ProofId, Proof] = field(default_factory=dict)
    events: list[CallEvent] = field(default_factory=list)
    reboots_done: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def turn(self) -> Iterator["MemoryTurn"]:
        """Begin a turn, alone."""
        with self.lock:
            yield MemoryTurn(self)


class MemoryTurn:
    """A turn that has everything to itself, so that locking is only looking."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self._locked: set[int] = set()
        self._reboots_done: set[int] = set()

    def owners(self, leg_keys: Collection[bytes]) -> set[int]:
        found = self.sessions(leg_keys)[1].values()
        return {session.client_id for session in found if session.client_id is not None}

    def lock_balances(self, client_ids: Collection[int]) -> Mapping[int, Balance]:
        self._locked = set(client_ids)
        return {id: self._storage.balances[id] for id in client_ids if id in self._storage.balances}

    def sessions(self, leg_keys: Collection[bytes]) -> tuple[int, Mapping[LegId, Session]]:
        found = {id: session for id, session in self._storage.sessions.items() if id[0] in leg_keys}
        return self._storage.version, found

    def reboots(self, nas: Collection[str], since: datetime) -> Sequence[Reboot]:
        return [item for item in self._storage.reboots if item.nas in nas and item.event_at >= since]

    def proofs(self, ids: Collection[ProofId]) -> Mapping[ProofId, Proof]:
        assert self._locked >= {client_id for client_id, _ in ids}, "whose proof it is was not locked"
        return {id: self._storage.proofs[id] for id in ids if id in self._storage.proofs}

    def lock_counters(self, keys: Collection[CounterKey]) -> Mapping[CounterKey, Counter]:
        return {key: self._storage.counters[key] for key in keys if key in self._storage.counters}

    def record(self, changes: Changes) -> None:
        if any(_has_nul(session) for session in changes.sessions.values()):
            raise DataRefusedError("a text has a NUL")
        assert changes.balances.keys() | changes.warned.keys() <= self._locked, (
            "what was not locked must not change"
        )
        kept = self._storage.sessions.items()
        self._storage.sessions = {id: session for id, session in kept if id not in changes.forgotten}
        self._storage.sessions |= {key: _kept(session) for key, session in changes.sessions.items()}
        for xdr in changes.xdrs:
            assert all(_identity(xdr) != _identity(other) for other in self._storage.xdrs)
            self._storage.xdrs.append(xdr)
        self._storage.entries += changes.entries
        for id, by in changes.balances.items():
            self._storage.balances[id] = self._storage.balances[id].changed(
                by.live, by.reserved, by.in_use, by.term_in_use
            )
        for id, warned in changes.warned.items():
            self._storage.balances[id] = self._storage.balances[id].with_warned(warned)
        self._storage.notices += changes.notices
        self._storage.events += changes.events
        for key, places in changes.counters.items():
            counter = self._storage.counters[key]
            self._storage.counters[key] = replace(counter, in_use=counter.in_use + places)
        self._storage.reboots += [item for item in changes.reboots if item not in self._storage.reboots]
        self._storage.reboots_done |= self._reboots_done
        self._storage.refusals += changes.refusals
        self._storage.unknown_records += changes.unknown_records
        for item in changes.disconnects:
            self._storage.disconnects.setdefault((item.leg_key, item.generation), item)
        self._storage.proofs |= changes.proofs

    def alone(self) -> bool:
        return True

    def due(self, now: datetime, most: int) -> Sequence[LegId]:
        due = [s for s in self._storage.sessions.values() if s.state.is_open and s.look_at <= now]
        return [session.id for session in sorted(due, key=lambda session: session.look_at)[:most]]

    def next_reboot(self) -> tuple[int, Reboot] | None:
        waiting = enumerate(self._storage.reboots)
        return next((item for item in waiting if item[0] not in self._storage.reboots_done), None)

    def legs_before(self, reboot: Reboot, most: int) -> Sequence[LegId]:
        legs = (s for s in self._storage.sessions.values() if s.state.is_open)
        own = (leg for leg in legs if leg.nas == reboot.nas and is_same_device(leg, reboot))
        return [leg.id for leg in own if leg.opened_at < reboot.event_at][:most]

    def reboot_done(self, reboot_id: int) -> None:
        self._reboots_done.add(reboot_id)

    def forget_proofs(self, before: datetime) -> None:
        kept = {id: proof for id, proof in self._storage.proofs.items() if proof.used_at >= before}
        self._storage.proofs = kept


def _has_nul(session: Session) -> bool:
    return "\0" in session.call_id + session.session_id + session.calling + session.called


def _kept(session: Session) -> Session:
    """Return what is kept of a session: of its rate, what prices it."""
    if session.rate is None:
        return session
    return session._replace(rate=replace(session.rate, effective_from=None, end_date=None))


def _identity(xdr: Xdr) -> tuple[bytes, int, int]:
    return xdr.leg_key, xdr.generation, xdr.revision
