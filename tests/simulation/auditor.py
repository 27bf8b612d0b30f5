"""A naive auditor: after every step he recomputes all balances from the legs and the ledger.

He shares no formula with the program. A cost is a fraction, found by counting intervals one by one; what is
reserved, in use and posted is summed from scratch; what a worker acknowledged he looks up in the books.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache

from nas import Call
from shaky_storage import ShakyStorage

from billing_core.capacity import Scope
from billing_core.client import Client
from billing_core.ledger import Entry
from billing_core.rate_table import Rate
from billing_core.report import Kind, Report
from billing_core.session import Leg, LegId, Session, State
from billing_core.xdr import Xdr

IMPLAUSIBLE_SECONDS = 86_400
APART = timedelta(seconds=125)


@cache
def naive_cost(rate: Rate, seconds: int) -> Fraction:
    """Return what a call costs, as a clerk would find it with a pencil."""
    if seconds <= 0 or seconds <= rate.grace_seconds:
        return Fraction(0)
    billed = rate.min_volume_seconds
    while billed < seconds:
        billed += rate.interval_seconds
    exact = (Fraction(rate.setup_fee) + Fraction(rate.price_per_minute) * billed / 60) * Fraction(rate.factor)
    return rounded(exact, rate.rounding.places, rate.rounding.mode)


def rounded(exact: Fraction, places: int, mode: str) -> Fraction:
    """Round a fraction to so many decimals."""
    scaled = exact * 10**places
    sign, size = (-1 if scaled < 0 else 1), abs(scaled)
    below = size.numerator // size.denominator
    rest = size - below
    up = {
        "half_up": rest >= Fraction(1, 2),
        "half_even": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and below % 2 == 1),
        "up": rest > 0,
        "down": False,
    }[mode]
    return Fraction(sign * (below + up), 10**places)


class Auditor:
    """Looks at the books of a storage after every step, and remembers what he saw."""

    def __init__(self, storage: ShakyStorage, clients: dict[int, Client]) -> None:
        """Begin with what *storage* holds; *clients* are their settings as they are now."""
        self._storage = storage
        self._clients = clients
        self._entries: list[Entry] = []
        self._seen: dict[LegId, Session] = {}
        self._xdrs = 0
        self._commits = -1
        self.pinned: dict[LegId, Rate] = {}
        self.unguarded: defaultdict[int, Decimal] = defaultdict(Decimal)
        """By client: what legs were charged beyond what was reserved for them, and what operators took."""
        self._in_doubt: set[bytes] = set()
        self._reboots_done: set[int] = set()
        self._interims: Tally[bytes] = Tally()
        self.rates: dict[LegId, Rate | None] = {}
        """By leg and generation: the rate at which it was charged last."""
        self.last_xdrs: dict[LegId, Xdr] = {}
        self.worst: defaultdict[int, Decimal] = defaultdict(Decimal)
        """By client: the most by which his live balance ever was beyond his credit."""
        self.looks = 0
        self.peak: Tally[int] = Tally()

    def look(self) -> None:
        """Recompute everything, if anything was committed since the last look."""
        if self._storage.commits == self._commits:
            return
        self._commits = self._storage.commits
        self.looks += 1
        self._reboots_close_what_was_open()
        self._entries_are_only_added()
        self._legs_are_charged_by_their_facts()
        self._sums_are_right()
        self._no_money_is_promised_twice()

    def accepted(self, session: Session) -> None:
        """Remember at which rate a leg was accepted, last."""
        assert session.rate is not None
        self.pinned[session.id] = session.rate
        self._in_doubt.discard(session.leg_key)

    def received(self, report: Report) -> None:
        """A record has arrived: remember the longest duration that an Interim ever told of its leg."""
        if report.kind is Kind.INTERIM:
            for key in report.leg_keys:
                self._interims[key] = max(self._interims[key], report.session_seconds or 0)

    def in_doubt(self, leg_key: bytes) -> None:
        """Nobody was told whether a leg was accepted again, so its pinned rate may be another."""
        self._in_doubt.add(leg_key)

    def acknowledged(self, report: Report) -> None:
        """An answer is on its way: what the record told must be in the books now."""
        found = self._named(report.leg_keys)
        assert found, f"acknowledged and not kept: {report}"
        told = report.session_seconds
        if report.kind is Kind.START and report.event_at is not None:
            starts = [leg.facts.start_event_at for leg in found if leg.facts.start_event_at is not None]
            assert starts, f"acknowledged and not kept: {report}"
            assert min(starts) <= report.event_at
        if report.kind is Kind.STOP:
            # It may be a late record of an earlier call of that name, of which only the xDRs are left.
            keys = {leg.leg_key for leg in found}
            ends = [xdr.duration_seconds or 0 for xdr in self._storage.xdrs if xdr.leg_key in keys]
            for facts in (leg.facts for leg in found if leg.facts.stopped):
                ends.append(max(facts.stop_seconds or 0, facts.overrun_seconds or 0))
            assert ends, f"acknowledged and not kept: {report}"
            assert told is None or max(ends) >= told or told > IMPLAUSIBLE_SECONDS

    def _named(self, leg_keys: Collection[bytes]) -> list[Session]:
        return [leg for leg in self._storage.sessions.values() if leg.leg_key in leg_keys]

    def told_apart(self, call: Call, nas: str, now: datetime) -> frozenset[Leg]:
        """Return the legs of a call that begins now which are not to be taken for those of an earlier one.

        An Accept begins a new leg where the old one has ended; records alone do so some minutes later.
        """

        def is_apart(leg: Leg, before: Session) -> bool:
            if before.state is not State.CLOSED or before.closed_at is None:
                return False
            return (call.asked and leg is Leg.ORIGINATION) or now > before.closed_at + APART

        return frozenset(
            leg
            for leg, key in call.legs(nas).items()
            if all(is_apart(leg, before) for before in self._named([key]))
        )

    def _reboots_close_what_was_open(self) -> None:
        """Of a box that restarted, no leg stays open that was open when it did."""
        for number in self._storage.reboots_done - self._reboots_done:
            reboot = self._storage.reboots[number]
            for id, session in self._seen.items():
                if session.state.is_open and (session.nas, session.nas_box) == (reboot.nas, reboot.nas_box):
                    gone = (
                        session.opened_at >= reboot.event_at or self._storage.sessions.get(id) is not session
                    )
                    assert gone, f"a reboot left a leg open: {session}"
        self._reboots_done = set(self._storage.reboots_done)

    def _entries_are_only_added(self) -> None:
        entries = self._storage.entries
        assert entries[: len(self._entries)] == self._entries, "an entry was changed or deleted"
        for entry in entries[len(self._entries) :]:
            assert isinstance(entry.amount, Decimal)
            assert entry.amount
        self._entries = list(entries)
        for xdr in self._storage.xdrs[self._xdrs :]:
            self.last_xdrs[xdr.leg_key, xdr.generation] = xdr
        self._xdrs = len(self._storage.xdrs)

    def _legs_are_charged_by_their_facts(self) -> None:
        posted: defaultdict[LegId, Decimal] = defaultdict(Decimal)
        for entry in self._entries:
            if entry.leg_key is not None and entry.generation is not None:
                posted[entry.leg_key, entry.generation] += entry.amount
        for id, session in self._storage.sessions.items():
            before = self._seen.get(id)
            if before is session:
                continue
            sign = 1 if session.leg is Leg.TERMINATION else -1
            assert posted[id] == sign * session.posted, "posted is not what was charged"
            assert Fraction(session.posted) == self._due(session), f"the charge is not the cost: {session}"
            pinned = self.pinned.get(id)
            if pinned is not None and session.rate is not None and session.leg_key not in self._in_doubt:
                assert _price(session.rate) == _price(pinned), "the pinned rate was changed"
            told = max(self._interims[session.leg_key], session.credit_time_seconds or 0)
            assert session.facts.known_seconds <= told, "a leg is longer than anybody told"
            self.rates[id] = session.rate
            self._note_what_was_unguarded(before, session)
            self._seen[id] = session

    def _due(self, session: Session) -> Fraction:
        """Return what a leg must have cost by now, by its facts alone."""
        if session.state.is_open or session.leg is Leg.FURTHER or session.revision == 0:
            return Fraction(0)
        facts = session.facts
        if facts.overrun_seconds is not None and facts.stop_seconds is None and not session.estimated:
            return Fraction(0)  # Somebody must decide.
        seconds = facts.known_seconds if session.estimated else facts.stop_seconds
        if seconds is None and facts.stopped and facts.start_event_at and facts.stop_event_at:
            seconds = max(0, -int(-(facts.stop_event_at - facts.start_event_at).total_seconds() // 1))
        if session.rate is None or session.client_id is None or not seconds or seconds > IMPLAUSIBLE_SECONDS:
            return Fraction(0)
        return naive_cost(session.rate, seconds)

    def _note_what_was_unguarded(self, before: Session | None, session: Session) -> None:
        if session.client_id is None or session.leg is Leg.TERMINATION:
            return
        charged = session.posted - (before.posted if before else 0)
        released = (before.reserved if before else Decimal(0)) - session.reserved
        if charged > 0:
            self.unguarded[session.client_id] += max(Decimal(0), charged - max(Decimal(0), released))

    def _sums_are_right(self) -> None:
        live = defaultdict[int, Decimal](Decimal)
        for entry in self._entries:
            live[entry.client_id] += entry.amount
        reserved = defaultdict[int, Decimal](Decimal)
        legs: Tally[tuple[int, Leg]] = Tally()
        shared: Tally[tuple[Scope, int]] = Tally()
        for session in self._storage.sessions.values():
            if not session.state.is_open and session.reserved and session.client_id is not None:
                reserved[session.client_id] += session.reserved
        for session in self._under_way():
            assert session.reserved >= 0
            assert session.client_id is not None
            reserved[session.client_id] += session.reserved
            legs[session.client_id, session.leg] += 1
            if session.leg is Leg.ORIGINATION:
                shared[Scope.ACCOUNT, session.account_id or 0] += 1
                shared.update((Scope.RESELLER, id) for id in self._clients[session.client_id].reseller_ids)
        for id, balance in self._storage.balances.items():
            assert balance.live == live[id], "live is not the sum of the entries"
            assert balance.reserved == reserved[id], "reserved is not the sum of open reservations"
            assert balance.in_use == legs[id, Leg.ORIGINATION], "a place is counted that nobody uses"
            assert balance.term_in_use == legs[id, Leg.TERMINATION], "a place is counted that nobody uses"
            self.peak[id] = max(self.peak[id], balance.in_use)
        for key, counter in self._storage.counters.items():
            assert counter.in_use == shared[key], f"{key} is not the number of legs under way"
        self._live = live

    def _under_way(self) -> list[Session]:
        """Return the open legs of somebody; all others hold no money, unless somebody must decide."""
        found = []
        for session in self._storage.sessions.values():
            if session.state.is_open and session.client_id is not None and session.leg is not Leg.FURTHER:
                found.append(session)
            else:
                is_overrun = session.facts.overrun_seconds is not None
                assert session.reserved == 0 or is_overrun, "an ended leg holds money"
        return found

    def _no_money_is_promised_twice(self) -> None:
        """What is live and not reserved falls below zero only by what was charged or taken unguarded."""
        for id, client in self._clients.items():
            self.worst[id] = max(self.worst[id], -(self._live[id] + client.credit))
            if client.postpaid or client.concurrency.policy not in ("full", "share"):
                continue
            free = self._live[id] + client.credit - self._storage.balances[id].reserved
            assert free >= -self.unguarded[id], (
                f"{client.name}: {free} is free, {self.unguarded[id]} unguarded"
            )

    def charged(self, leg_key: bytes) -> Decimal:
        """Return what a leg was charged in all, in all its generations."""
        return sum((entry.amount for entry in self._entries if entry.leg_key == leg_key), Decimal(0))

    def income(self, client_id: int) -> Decimal:
        """Return all that a client ever got: payments, and calls that pay the caller."""
        amounts = [entry.amount for entry in self._entries if entry.client_id == client_id]
        return sum((amount for amount in amounts if amount > 0), Decimal(0))


def _price(rate: Rate) -> tuple[object, ...]:
    """Return what of a rate makes its price; of a pinned one no dates are kept."""
    return (
        rate.code,
        rate.price_per_minute,
        rate.setup_fee,
        rate.min_volume_seconds,
        rate.interval_seconds,
        rate.grace_seconds,
        rate.factor,
        rate.rounding,
    )
