"""Looking after legs that nobody speaks of: unused reservations, slices to renew, lost Stops, reboots."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from billing_core.books import Books, LegsRead
from billing_core.capacity import counter_keys
from billing_core.catalogue import Catalogue
from billing_core.concurrency import awaits_renewal
from billing_core.limits import Limits
from billing_core.money import ZERO
from billing_core.ports import SweepTurn
from billing_core.proof import KEPT
from billing_core.session import LegId, Session, State
from billing_core.settlement import settle
from billing_core.xdr import Xdr

CHUNK = 50  # Small, so that a turn never waits long for a chunk or for the clients that it locks.


class OnSilence(StrEnum):
    """What a leg is charged that ended without a word: what is known of it, or all it was granted."""

    CHARGE_KNOWN = "charge_known"
    CHARGE_GRANTED = "charge_granted"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did to one leg: `xdr` when it was charged, none when only released, renewed or left."""

    session: Session
    xdr: Xdr | None


def expire(session: Session, on_silence: OnSilence, limits: Limits, now: datetime) -> Session:
    """Return what becomes of an open leg that is to be looked at: ended, released, or left for later.

    Never ended before the granted time and the margin have passed since it was last heard of.
    """
    if session.state is State.RESERVED and session.look_at <= now:
        return session.released(now)
    margin = timedelta(seconds=limits.silence_margin_seconds)
    granted = timedelta(seconds=session.credit_time_seconds or limits.max_call_seconds)
    heard_later = session.last_heard_at > session.opened_at + granted
    over_at = max(session.look_at, session.last_heard_at + margin if heard_later else session.look_at)
    if over_at > now:
        return session._replace(look_at=over_at)
    return closed_in_silence(session, on_silence, now)


def closed_in_silence(session: Session, on_silence: OnSilence, now: datetime) -> Session:
    """Return a leg closed without its Stop, its duration estimated; a real Stop still corrects it."""
    facts = session.facts
    if on_silence is OnSilence.CHARGE_GRANTED and session.credit_time_seconds:
        facts = facts._replace(known_seconds=max(facts.known_seconds, session.credit_time_seconds))
    return session._replace(state=State.CLOSED, closed_at=now, reserved=ZERO, estimated=True, facts=facts)


class Sweep:
    """Closes in chunks what fell silent and what a reboot ended; one runs at a time per database."""

    def __init__(
        self,
        turns: Callable[[], AbstractContextManager[SweepTurn]],
        catalogue: Catalogue,
        limits: Limits,
        on_silence: Callable[[str], OnSilence],
    ) -> None:
        """Work by the definitions in *catalogue*; *on_silence* tells a NAS's policy by its name."""
        self._turns = turns
        self._catalogue = catalogue
        self.limits = limits
        self._on_silence = on_silence

    def run(self, now: datetime) -> list[Swept]:
        """Look after every leg that is due by *now*, and return what was done."""
        done: list[Swept] = []
        while (chunk := self.step(now)) is not None:
            done += chunk
        return done

    def step(self, now: datetime) -> list[Swept] | None:
        """Look after one chunk; None when nothing is left, or when somebody else sweeps."""
        with self._turns() as turn:
            if not turn.alone():
                return None
            if due := turn.due(now, CHUNK):
                return self._close(turn, due, now, self._expire)
            found = turn.next_reboot()
            if found is None:
                turn.forget_proofs(now - KEPT)
                return None
            reboot_id, reboot = found
            ended = turn.legs_before(reboot, CHUNK)
            if len(ended) < CHUNK:
                turn.reboot_done(reboot_id)
            return self._close(turn, ended, now, self._end)

    def _expire(self, books: Books, session: Session, now: datetime) -> Swept:
        if awaits_renewal(session):
            # Only a switch that ends calls when asked to is granted slices.
            return Swept(books.renew(session, self.limits, now, can_disconnect=True), None)
        after = expire(session, self._on_silence(session.nas), self.limits, now)
        return self._put(books, session, after, now)

    def _end(self, books: Books, session: Session, now: datetime) -> Swept:
        if session.state is State.RESERVED:
            after = session.released(now)
        else:
            after = closed_in_silence(session, self._on_silence(session.nas), now)
        return self._put(books, session, after, now)

    def _close(
        self,
        turn: SweepTurn,
        legs: Sequence[LegId],
        now: datetime,
        look_after: Callable[[Books, Session, datetime], Swept],
    ) -> list[Swept] | None:
        clients = self._catalogue.clients
        leg_keys = {key for key, _ in legs}
        locked = turn.owners(leg_keys)
        if locked - clients.keys():
            return None  # Newer than this catalogue: the next sweep will know them.
        balances = turn.lock_balances(locked)
        version, found = turn.sessions(leg_keys)
        sessions = {
            id: session
            for id in legs
            if (session := found.get(id)) is not None
            and session.state.is_open
            and (session.client_id is None or session.client_id in locked)
        }
        counters = {
            key
            for session in sessions.values()
            if session.client_id is not None
            for key in counter_keys(clients[session.client_id], session.account_id)
        }
        locked_counters = turn.lock_counters(counters)
        is_stale = version != self._catalogue.version
        read = LegsRead(frozenset(leg_keys), sessions)
        books = Books(balances, read, locked_counters, clients, is_stale=is_stale)
        swept = [look_after(books, session, now) for session in sessions.values()]
        turn.record(books.changes)
        return swept

    def _put(self, books: Books, before: Session, after: Session, now: datetime) -> Swept:
        xdr = None
        if after.state is State.CLOSED:
            after, xdr = settle(after, self._catalogue, self.limits)
        if after != before:
            books.put(after, now, xdr)
        return Swept(after, xdr)
