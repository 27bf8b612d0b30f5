"""The locked facts of one turn, and every difference that the turn makes to them.

Reserved money, charged money and places in use are never changed by themselves: they follow from
what a session was and what it has become, so that their sums cannot drift from the sessions.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from billing_core.balance import Balance
from billing_core.call_event import CallEvent, CallEventKind
from billing_core.capacity import Counter, CounterKey, counter_keys
from billing_core.client import Client
from billing_core.concurrency import renewed, taken_again
from billing_core.ledger import Entry, EntryKind
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.notice import followed
from billing_core.ports import Changes, Disconnect, DisconnectReason, Reboot, TurnConflictError
from billing_core.proof import Proof, ProofId
from billing_core.session import Leg, LegId, Session, is_same_device
from billing_core.xdr import Xdr

LEGS_KEPT = 8
"""So many ended legs of one name are remembered: whoever uses a name for ever must not slow it down."""

OPEN_LEGS_MAX = 64
"""No question opens more legs of one name at once."""


class UnreadError(TurnConflictError):
    """Something matters that nobody expected to: the turn starts over and reads that, too."""

    def __init__(self, leg_keys: Set[bytes] = frozenset(), reboots_of: Set[str] = frozenset()) -> None:
        """Name legs by their keys, and switches of which it matters whether they have begun anew."""
        super().__init__(leg_keys, reboots_of)
        self.leg_keys = leg_keys
        self.reboots_of = reboots_of


@dataclass(frozen=True, slots=True)
class LegsRead:
    """What a turn has read of legs: the `sessions` that exist under `keys`, and `reboots` of switches.

    `proofs` is what the callers' proofs have served before.
    """

    keys: frozenset[bytes]
    sessions: Mapping[LegId, Session]
    reboots_of: frozenset[str] = frozenset()
    reboots: Sequence[Reboot] = field(default=())
    proofs: Mapping[ProofId, Proof] = field(default_factory=dict)


class Books:
    """What a turn has locked, kept up to date while it decides one request after the other."""

    def __init__(
        self,
        balances: Mapping[int, Balance],
        read: LegsRead,
        counters: Mapping[CounterKey, Counter],
        clients: Mapping[int, Client],
        *,
        is_stale: bool = False,
    ) -> None:
        """Open the books on what storage locked and *read*.

        Every session's client is among *clients*. Nobody is told of low balances by settings that are
        stale: whoever looks next, by those of today, finds the money as low.
        """
        self.balances = dict(balances)
        self.sessions = dict(read.sessions)
        self.counters = dict(counters)
        self.changes = Changes()
        self._read = read
        self._proofs = dict(read.proofs)
        self._legs: dict[bytes, list[int]] = {}
        for key, generation in sorted(read.sessions):
            self._legs.setdefault(key, []).append(generation)
        self._clients = clients
        self._is_stale = is_stale

    def legs(self, leg_keys: Iterable[bytes]) -> list[Session]:
        """Return all legs of these names, each once."""
        names = dict.fromkeys(leg_keys)
        return [self.sessions[key, number] for key in names for number in self._legs.get(key, ())]

    def require(self, leg_keys: Iterable[bytes]) -> None:
        """Raise UnreadError unless the legs of all these names were read."""
        if unread := set(leg_keys) - self._read.keys:
            raise UnreadError(leg_keys=unread)

    def is_crowded(self, leg_key: bytes) -> bool:
        """Tell whether so many legs of that name are open that no question may open another."""
        return sum(leg.state.is_open for leg in self.legs((leg_key,))) >= OPEN_LEGS_MAX

    def next_generation(self, leg_key: bytes) -> int:
        """Return the number that a new leg of that name has."""
        return max(self._legs.get(leg_key, ()), default=-1) + 1

    def _let_go(self, leg_key: bytes) -> None:
        """Forget old legs of that name that nobody needs, before another comes; the newest is kept."""
        numbers = self._legs.get(leg_key, [])
        if len(numbers) < LEGS_KEPT:
            return
        ended = [number for number in numbers if self._is_over(self.sessions[leg_key, number])]
        for number in sorted(ended)[: max(0, len(ended) + 1 - LEGS_KEPT)]:
            del self.sessions[leg_key, number]
            numbers.remove(number)
            self.changes.sessions.pop((leg_key, number), None)
            self.changes.forgotten.append((leg_key, number))

    def serves(self, proof: Proof) -> bool:
        """Tell whether a proof may be used so, and keep that: it serves one call."""
        known = self._proofs.get(proof.id)
        if known is not None and not known.is_of_one_call(proof):
            return False
        if known is None or (known.generation is None and proof.generation is not None):
            self._proofs[proof.id] = self.changes.proofs[proof.id] = proof
        return True

    def has_rebooted(self, leg: Session) -> bool:
        """Tell whether the device of an ended leg has begun anew since; raise UnreadError."""
        if leg.nas not in self._read.reboots_of:
            raise UnreadError(reboots_of={leg.nas})
        facts = leg.facts
        # A reboot is dated by its switch: it is compared with the switch's own dates where there are any.
        ended_at = facts.disconnect_at or facts.stop_event_at or leg.closed_at or leg.last_heard_at
        known = (*self._read.reboots, *self.changes.reboots)
        return any(
            reboot.nas == leg.nas and is_same_device(reboot, leg) and reboot.event_at > ended_at
            for reboot in known
        )

    def tell(
        self, kind: CallEventKind, leg: Session, now: datetime, facts: Mapping[str, int | str | bool | None]
    ) -> None:
        """Have an admin told what happened to a leg."""
        about = {**facts, "leg": leg.leg.value, "generation": leg.generation}
        event = CallEvent(now, kind, leg.nas, leg.client_id, leg.call_id, leg.session_id, about)
        self.changes.events.append(event)

    @staticmethod
    def _is_over(leg: Session) -> bool:
        return not leg.state.is_open and not leg.reserved

    def put(
        self,
        session: Session,
        now: datetime,
        xdr: Xdr | None = None,
        kind: EntryKind = EntryKind.CHARGE,
    ) -> None:
        """Record what has become of a leg, and let its client's sums follow, by an entry of that *kind*."""
        id = session.id
        before = self.sessions.get(id)
        if before is None:
            self._let_go(session.leg_key)
            self._legs.setdefault(session.leg_key, []).append(session.generation)
        self.sessions[id] = session
        self.changes.sessions[id] = session
        if xdr is not None:
            self.changes.xdrs.append(xdr)
            self.changes.at = now
        if session.client_id is None:
            return
        posted = session.posted - (before.posted if before else ZERO)
        reserved = session.reserved - (before.reserved if before else ZERO)
        places = session.counted - (before.counted if before else False)
        is_termination = session.leg is Leg.TERMINATION
        if not (posted or reserved or places):
            return
        live = posted if is_termination else -posted
        self._change_balance(
            session.client_id,
            Balance(live, reserved, 0 if is_termination else places, places if is_termination else 0),
            now,
        )
        if places and not is_termination:
            self._change_counters(self._clients[session.client_id], session.account_id, places)
        if live:
            self.changes.entries.append(
                Entry(
                    session.client_id,
                    kind,
                    live,
                    now,
                    session.leg_key,
                    session.generation,
                    session.revision,
                )
            )

    def renew(self, session: Session, limits: Limits, now: datetime, *, can_disconnect: bool) -> Session:
        """Record a sliced leg with its next slice; with no money for it, have the switch end the call."""
        assert session.client_id is not None, "what is sliced was granted to somebody"
        client, balance = self._clients[session.client_id], self.balances[session.client_id]
        renewal = renewed(session, client, balance, limits, now)
        self.put(renewal.session, now)
        if renewal.ran_dry and can_disconnect:
            self._disconnect(session, now)
        return renewal.session

    def take_again(self, session: Session, now: datetime, *, can_disconnect: bool) -> Session:
        """Record a leg that comes back with the money that it was granted; short of it, have it ended."""
        if session.client_id is None:
            self.put(session, now)
            return session
        client, balance = self._clients[session.client_id], self.balances[session.client_id]
        taken = taken_again(session, client, balance, can_disconnect=can_disconnect)
        self.put(taken.session, now)
        if taken.ran_dry and can_disconnect:
            self._disconnect(session, now)
        return taken.session

    def _disconnect(self, leg: Session, now: datetime) -> None:
        asked = Disconnect(leg.leg_key, leg.generation, leg.nas, DisconnectReason.SLICE_RAN_DRY, now)
        self.changes.disconnects.append(asked)

    def _change_balance(self, client_id: int, by: Balance, now: datetime) -> None:
        before, changed = self.balances[client_id], self.changes.balances.get(client_id)
        self.balances[client_id] = before.plus(by)
        self.changes.balances[client_id] = by if changed is None else changed.plus(by)
        if by.live and not self._is_stale:
            self._notice(client_id, before, now)

    def _notice(self, client_id: int, before: Balance, now: datetime) -> None:
        """Tell of money that has become low."""
        balance, notices = followed(self._clients[client_id], before, self.balances[client_id], now)
        if balance.warned != before.warned or client_id in self.changes.warned:
            self.balances[client_id] = balance
            self.changes.warned[client_id] = balance.warned
        self.changes.notices += notices

    def _change_counters(self, client: Client, account_id: int | None, places: int) -> None:
        for key in counter_keys(client, account_id):
            counter = self.counters.get(key)
            if counter is not None:
                self.counters[key] = Counter(counter.capacity, counter.in_use + places)
                self.changes.counters[key] = self.changes.counters.get(key, 0) + places
