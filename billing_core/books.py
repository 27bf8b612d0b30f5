"""The locked facts of one turn, and every difference that the turn makes to them.

Reserved money, charged money and places in use are never changed by themselves: they follow from
what a session was and what it has become, so that their sums cannot drift from the sessions.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from billing_core.balance import Balance
from billing_core.capacity import Counter, CounterKey, counter_keys
from billing_core.client import Client
from billing_core.concurrency import renewed
from billing_core.ledger import Entry, EntryKind
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.notice import followed
from billing_core.ports import Changes, Disconnect, DisconnectReason
from billing_core.session import Leg, Session
from billing_core.xdr import Xdr


class Books:
    """What a turn has locked, kept up to date while it decides one request after the other."""

    def __init__(
        self,
        balances: Mapping[int, Balance],
        leg_keys: Collection[bytes],
        sessions: Mapping[bytes, Session],
        counters: Mapping[CounterKey, Counter],
        clients: Mapping[int, Client],
        *,
        is_stale: bool = False,
    ) -> None:
        """Open the books on what storage locked and read: the *sessions* that exist of *leg_keys*.

        Every session's client is among *clients*. Nobody is told of low balances by settings that are
        stale: whoever looks next, by those of today, finds the money as low.
        """
        self.balances = dict(balances)
        self.leg_keys = leg_keys
        self.sessions = dict(sessions)
        self.counters = dict(counters)
        self.changes = Changes()
        self._clients = clients
        self._is_stale = is_stale

    def first_session(self, leg_keys: tuple[bytes, ...]) -> Session | None:
        """Return the session under the first of these names that is known."""
        for key in leg_keys:
            session = self.sessions.get(key)
            if session is not None:
                return session
        return None

    def put(
        self,
        session: Session,
        now: datetime,
        xdr: Xdr | None = None,
        kind: EntryKind = EntryKind.CHARGE,
    ) -> None:
        """Record what has become of a leg, and let its client's sums follow, by an entry of that *kind*."""
        before = self.sessions.get(session.leg_key)
        if before is not None and before.generation != session.generation:
            assert not before.state.is_open, "a new generation follows an ended one"
            before = None
        self.sessions[session.leg_key] = session
        self.changes.sessions[session.leg_key] = session
        if xdr is not None:
            self.changes.xdrs.append(xdr)
            self.changes.at = now
        if session.client_id is None:
            return
        posted = session.posted - (before.posted if before else ZERO)
        reserved = session.reserved - (before.reserved if before else ZERO)
        places = session.counted - (before.counted if before else False)
        is_termination = session.leg is Leg.TERMINATION
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
            self.changes.disconnects.append(
                Disconnect(
                    session.leg_key, session.generation, session.nas, DisconnectReason.SLICE_RAN_DRY, now
                )
            )
        return renewal.session

    def _change_balance(self, client_id: int, by: Balance, now: datetime) -> None:
        if by == Balance():
            return
        changed = (by.live, by.reserved, by.in_use, by.term_in_use)
        before = self.balances[client_id]
        self.balances[client_id] = before.changed(*changed)
        self.changes.balances[client_id] = self.changes.balances.get(client_id, Balance()).changed(*changed)
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
