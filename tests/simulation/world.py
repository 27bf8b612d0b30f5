"""A world that one seed drives: softswitches, a network, two workers, operators, and an auditor of it all."""

import heapq
import random
from collections import Counter as Tally
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from auditor import Auditor
from calls import NOON
from definitions import CONCURRENCIES, NUMBERS, POSTPAID_ID, SLICED_ID, Definitions
from nas import GOOD, SURE_ATTEMPT, Character, Nas
from network import Network, Weather
from shaky_storage import FAULTS, DiedError, ShakyStorage, WouldWaitError
from worker import Worker

from billing_core.balance import Balance
from billing_core.catalogue import Catalogue
from billing_core.client import Status
from billing_core.ledger import Entry, EntryKind
from billing_core.limits import Limits
from billing_core.ports import StorageDownError, TurnConflictError
from billing_core.sweep import OnSilence, Sweep

LIMITS = Limits(max_call_seconds=1800)
SWEEP_SECONDS = 10.0
DISCONNECT_SECONDS = 2.0
_YEAR = 365 * 86_400.0
WILD_SKEWS = (3600.0, -3600.0, _YEAR, -_YEAR, (datetime(1970, 1, 2, tzinfo=UTC) - NOON).total_seconds())
"""Clocks of switches in seconds off ours: an hour, a year, and one that was never set."""


class World:
    """Everything that one seed makes happen. In an orderly world switches obey and operators only give."""

    def __init__(self, seed: int, *, orderly: bool, calls: int = 30) -> None:
        """Prepare what *seed* says; `run` lets it happen."""
        self.seed = seed
        self.orderly = orderly
        self.chance = random.Random(seed)
        self.seconds = 0.0
        self._order = 0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._depth = 0
        self.definitions = self._definitions()
        self.storage = ShakyStorage(
            version=self.definitions.version,
            balances={id: Balance() for id in self.definitions.clients},
            counters=self.definitions.counters(),
        )
        self.auditor = self._auditor()
        self.stepped = False
        self._disconnects: Tally[tuple[bytes, int]] = Tally()
        self.network = Network(self.chance, self.later, self._weather())
        self.horizon_seconds = self.chance.choice([900.0, 5400.0, 5400.0])
        self.fault_chance = self._faults()
        self.workers = [self._worker() for _ in range(2)]
        self.switches = [self._switch(name) for name in self._switch_names()]
        self.sweep = Sweep(self.storage.turn, self.workers[0].catalogue, LIMITS, self._on_silence)
        self.storage.pause = self._pause
        self.storage.next_fault = self._fault
        self._open_accounts()
        self._plan(calls)

    def now(self) -> datetime:
        """Return the true time."""
        return NOON + timedelta(seconds=self.seconds)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen in so many *seconds*."""
        self._order += 1
        heapq.heappush(self._agenda, (self.seconds + seconds, self._order, action))

    def run(self) -> None:
        """Let everything happen, with the auditor looking after each step."""
        self.auditor.look()
        while self._agenda:
            self.seconds, _, action = heapq.heappop(self._agenda)
            action()
            self.auditor.look()
        self._calm_down()

    def _calm_down(self) -> None:
        """Sweep until nothing is under way: nothing is held for ever."""
        self.storage.pause = lambda: None
        self.storage.next_fault = lambda: None
        for worker in self.workers:
            worker.stale = False
            worker.refresh()
        for _ in range(4):
            self.seconds += LIMITS.max_call_seconds + 10 * _YEAR
            self.sweep.run(self.now())
            self.auditor.look()

    # --- what there is ------------------------------------------------------------------------------

    def _definitions(self) -> Definitions:
        return Definitions(self.chance)

    def _auditor(self) -> Auditor:
        return Auditor(self.storage, self.definitions.clients)

    def _weather(self) -> Weather:
        loss = self.chance.choice([0.0, 0.1, 0.3])
        return Weather(loss, loss, self.chance.choice([0.1, 2.0]))

    def _faults(self) -> float:
        return self.chance.choice([0.0, 0.05, 0.2])

    def _switch_names(self) -> tuple[str, ...]:
        return ("north", "south", "west")

    def _worker(self) -> Worker:
        catalogue = Catalogue()
        self.definitions.apply(catalogue)
        return Worker(
            self.storage,
            catalogue,
            LIMITS,
            self.definitions.apply,
            self.auditor,
            self.chance,
            self.network,
            self.later,
            lambda: self.seconds,
            batch_max=self.chance.choice([1, 3, 16]),
        )

    def _switch(self, name: str) -> Nas:
        return Nas(
            name,
            self._character(),
            self.chance,
            self.network,
            self.later,
            lambda: self.seconds,
            [worker.receive for worker in self.workers],
        )

    def _character(self) -> Character:
        chance, choose = self.chance.random, self.chance.choice
        good = Character(
            sends_start=choose([True, True, False]),
            dated=choose([True, True, False]),
            interim_seconds=choose([None, 30, 100]),
            skew_seconds=choose([0.0, 0.0, 20.0, -20.0]),
            tells_twice=chance() < 0.2,
            can_disconnect=chance() < 0.7,
            on_silence=choose(list(OnSilence)),
        )
        if self.orderly:
            return good
        return Character(
            obeys=chance() < 0.6,
            sends_start=good.sends_start,
            dated=good.dated,
            interim_seconds=good.interim_seconds,
            honest_interims=chance() < 0.6,
            skew_seconds=choose([good.skew_seconds, *WILD_SKEWS]),
            reuses_ids=chance() < 0.3,
            tells_twice=good.tells_twice,
            can_disconnect=good.can_disconnect,
            patient=chance() < 0.6,
            asks=choose([1.0, 0.9]),
            loses_stop=choose([0.0, 0.1]),
            loses_start=choose([0.0, 0.3]),
            on_silence=good.on_silence,
        )

    def _on_silence(self, nas: str) -> OnSilence:
        return next((s.character for s in self.switches if s.name == nas), GOOD).on_silence

    # --- what happens -------------------------------------------------------------------------------

    def _open_accounts(self) -> None:
        for id in CONCURRENCIES:
            self._pay(id, Decimal(self.chance.choice(["1.50", "5", "20"])))

    def _plan(self, calls: int) -> None:
        chance = self.chance
        self._every(SWEEP_SECONDS, self._sweep)
        self._every(60.0, self._poll)
        self._every(DISCONNECT_SECONDS, self._disconnect)
        for _ in range(calls):
            self._once(self._call)
        for _ in range(chance.randrange(5)):
            self._once(self._payment)
        if not self.orderly:
            for happening, times in self._troubles().items():
                for _ in range(chance.randrange(times + 1)):
                    self._once(happening)

    def _troubles(self) -> dict[Callable[[], None], int]:
        """Return what may go wrong, and how often at most."""
        return {
            self._reprice: 2,
            self._take: 2,
            self._stop_client: 2,
            self._reboot: 4,
            self._stale: 2,
            # Only now and then, because little can be said of a world in which our own clocks jump.
            self._step: 1 if self.chance.random() < 0.3 else 0,
        }

    def _once(self, action: Callable[[], None]) -> None:
        self.later(self.chance.random() * self.horizon_seconds, action)

    def _every(self, seconds: float, action: Callable[[], None]) -> None:
        def again() -> None:
            action()
            if self.seconds < self.horizon_seconds + LIMITS.max_call_seconds + 600:
                self.later(seconds, again)

        self.later(seconds, again)

    def _call(self) -> None:
        chance = self.chance
        caller = f"client {chance.choice([*CONCURRENCIES, SLICED_ID, SLICED_ID, POSTPAID_ID])}"
        wanted = chance.choice([0, 1, 2, 3, 59, 60, 61, chance.randrange(300), chance.randrange(2500)])
        switch = chance.choice(self.switches)
        call = switch.place(
            caller, chance.choice(NUMBERS), chance.randrange(5, 25), wanted, chance.random() < 0.4
        )
        call.apart = self.auditor.told_apart(call, switch.name, self.now())

    def _payment(self) -> None:
        self._pay(self.chance.choice(list(CONCURRENCIES)), Decimal(self.chance.choice(["0.01", "3", "10"])))

    def _pay(self, client_id: int, amount: Decimal) -> None:
        try:
            self.storage.book(Entry(client_id, EntryKind.PAYMENT, amount, self.now()))
        except WouldWaitError:
            self.later(0.05, lambda: self._pay(client_id, amount))
            return
        if amount < 0:
            self.auditor.unguarded[client_id] -= amount

    def _take(self) -> None:
        """An operator takes money back, or lowers a credit, whatever is reserved."""
        id = self.chance.choice(list(CONCURRENCIES))
        if self.chance.random() < 0.5:
            self._pay(id, Decimal(-2))
            return
        self.auditor.unguarded[id] += max(Decimal(0), self.definitions.clients[id].credit)
        self._define(lambda: self.definitions.change_client(id, credit=Decimal(0)))

    def _stop_client(self) -> None:
        id = self.chance.choice(list(CONCURRENCIES))
        self._define(lambda: self.definitions.change_client(id, status=Status.STOP))
        self.later(
            900, lambda: self._define(lambda: self.definitions.change_client(id, status=Status.ACTIVE))
        )

    def _reprice(self) -> None:
        self._define(self.definitions.change_prices)

    def _define(self, change: Callable[[], None]) -> None:
        change()
        self.storage.version = self.definitions.version

    def _poll(self) -> None:
        for worker in self.workers:
            worker.refresh()

    def _reboot(self) -> None:
        self.chance.choice(self.switches).reboot(tells=self.chance.random() < 0.7)

    def _stale(self) -> None:
        worker = self.chance.choice(self.workers)
        worker.stale = True
        self.later(300, lambda: setattr(worker, "stale", False))

    def _step(self) -> None:
        """A worker's clock steps, and is set right later."""
        self.stepped = True
        worker = self.chance.choice(self.workers)
        worker.skew_seconds = self.chance.choice([3600.0, -3600.0, 5.0])
        self.later(600, lambda: setattr(worker, "skew_seconds", 0.0))

    def _sweep(self) -> None:
        try:
            self.sweep.run(self.workers[0].now())
        except (WouldWaitError, DiedError, StorageDownError, TurnConflictError):
            return  # The next sweep finds the same legs.

    def _disconnect(self) -> None:
        """Ask switches to end calls, a few times, until nothing is to be ended."""
        for (key, generation), order in self.storage.disconnects.items():
            session = self.storage.sessions.get((key, generation))
            if session is not None and session.state.is_open and self._disconnects[key, generation] < 5:
                self._disconnects[key, generation] += 1
                switch = next(switch for switch in self.switches if switch.name == order.nas)
                sure = self.orderly and self._disconnects[key, generation] >= SURE_ATTEMPT
                self.network.carry(partial(switch.hang_up, key), sure)

    # --- faults -------------------------------------------------------------------------------------

    def _pause(self) -> None:
        """Between the steps of one turn, another worker may have a whole turn of its own."""
        if self._depth or self.chance.random() >= 0.5:
            return
        self._depth += 1
        try:
            other = self.chance.choice([*self.workers, None])
            if other is not None:
                other.serve()
            else:
                self._sweep()
        finally:
            self._depth -= 1

    def _fault(self) -> str | None:
        sure = self.orderly and any(letter.sure for worker in self.workers for letter in worker.serving)
        if sure or self.chance.random() >= self.fault_chance:
            return None
        return self.chance.choice(FAULTS)
