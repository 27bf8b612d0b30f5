"""Many calls of one client at once: what his concurrency policy makes of them."""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial

from auditor import Auditor
from calls import ALICE, NOON
from calls import rate as a_rate
from nas import Character, Nas
from network import CALM, Network
from shaky_storage import ShakyStorage
from worker import Worker

from billing_core.balance import Balance
from billing_core.catalogue import Catalogue
from billing_core.client import Account, Concurrency, Policy
from billing_core.ledger import Entry, EntryKind
from billing_core.limits import Limits
from billing_core.rate_table import rate_table
from billing_core.sweep import OnSilence, Sweep

SLICE_SECONDS = 60
POLICIES = {
    "full": Concurrency(Policy.FULL),
    "share, calls = 10": Concurrency(Policy.SHARE, calls=10),
    "slice, seconds = 60": Concurrency(Policy.SLICE, seconds=SLICE_SECONDS),
    "none": Concurrency(Policy.NONE),
}
IGNORED = "slice, ignored"
"""The line of a switch that takes Disconnect-Requests, and ends no call for them."""
CHEATED = "{}, cheated"
"""The lines of callers who open twins of each call under its call id, again and again, and let them fail."""
COUNTS = (1, 2, 5, 10, 50, 200)
SEEDS = 20
PAID = Decimal(10)
MEAN_SECONDS = 180
ARRIVAL_SECONDS = 60
SWEEP_SECONDS = 10.0
DISCONNECT_SECONDS = 2.0
TWIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """What came of it. `used` is what of the money was talked away, in percent, at most 100.

    `at_once` is the most calls that were under way together.
    """

    granted: int
    refused: int
    shortened: int
    used: float
    overspend: Decimal
    at_once: int


class _Agenda:
    """Virtual time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._order = 0
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._waiting, (self.seconds + seconds, self._order, action))

    def every(self, seconds: float, until: float, action: Callable[[], None]) -> None:
        for turn in range(1, int(until / seconds)):
            self.later(turn * seconds, action)

    def run(self) -> None:
        while self._waiting:
            self.seconds, _, action = heapq.heappop(self._waiting)
            action()


def crowd(
    seed: int,
    concurrency: Concurrency,
    count: int,
    reaction_seconds: float | None = 0.0,
    *,
    cheats: bool = False,
) -> Crowd:
    """Let *count* calls begin within a minute and last as chance wants, three minutes on average.

    The switch ends one *reaction_seconds* after it was asked to, None: never. Who *cheats* opens twins.
    """
    chance, agenda = random.Random(seed), _Agenda()
    client = replace(ALICE, concurrency=concurrency)
    catalogue = Catalogue()
    catalogue.put_rate_table(rate_table(1, "Sold", "USD", [a_rate("0.60/min 1/1")]))
    catalogue.put_client(client, [Account(id=10, client_id=1, name="alice", password="secret")])
    storage = ShakyStorage(balances={1: Balance()})
    storage.book(Entry(1, EntryKind.PAYMENT, PAID, NOON))
    auditor, limits = Auditor(storage, catalogue.clients), Limits()
    network = Network(chance, agenda.later, CALM)
    worker = Worker(
        storage, catalogue, limits, lambda _: None, auditor, chance, network, agenda.later,
        lambda: agenda.seconds, batch_max=16,
    )  # fmt: skip
    switch = Nas(
        "switch", Character(can_disconnect=True, interim_seconds=60, reaction_seconds=reaction_seconds),
        chance, network, agenda.later, lambda: agenda.seconds, [worker.receive],
    )  # fmt: skip
    sweep = Sweep(storage.turn, catalogue, limits, lambda _: OnSilence.CHARGE_KNOWN)
    for _ in range(count):
        wanted = max(1, int(chance.expovariate(1 / MEAN_SECONDS)))
        agenda.later(
            chance.random() * ARRIVAL_SECONDS,
            partial(switch.place, "alice", "442071234567", 0, wanted, has_vendor=False),
        )

    def cheat() -> None:
        for call in [call for call in switch.calls if call.granted_seconds and not call.ended]:
            switch.cheat(call)

    if cheats:
        agenda.every(TWIN_SECONDS, 600, cheat)

    def disconnect() -> None:
        for key, _ in list(storage.disconnects):
            switch.hang_up(key)

    agenda.every(SWEEP_SECONDS, 3000, lambda: sweep.run(NOON + timedelta(seconds=agenda.seconds)) and None)
    agenda.every(DISCONNECT_SECONDS, 3000, disconnect)
    agenda.run()
    auditor.look()
    live = storage.balances[1].live
    return Crowd(
        granted=sum(call.granted_seconds is not None for call in switch.calls),
        refused=sum(call.denied for call in switch.calls),
        shortened=sum(call.is_shortened for call in switch.calls),
        used=float(min(PAID, PAID - live) / PAID * 100),
        overspend=max(Decimal(0), -live),
        at_once=_most_at_once(switch),
    )


def _most_at_once(switch: Nas) -> int:
    spans = [
        (call.answered_at, call.answered_at + call.told_seconds)
        for call in switch.calls
        if call.answered_at is not None and call.told_seconds is not None
    ]
    return max(sum(began <= moment <= ended for began, ended in spans) for moment, _ in spans)


def _lines() -> dict[str, Callable[[int, int], Crowd]]:
    def fair(concurrency: Concurrency, seed: int, count: int) -> Crowd:
        return crowd(seed, concurrency, count)

    def cheated(concurrency: Concurrency, seed: int, count: int) -> Crowd:
        return crowd(seed, concurrency, count, cheats=True)

    def ignored(seed: int, count: int) -> Crowd:
        return crowd(seed, POLICIES["slice, seconds = 60"], count, reaction_seconds=None)

    found: dict[str, Callable[[int, int], Crowd]] = {
        name: partial(fair, concurrency) for name, concurrency in POLICIES.items()
    }
    found[IGNORED] = ignored
    return found | {CHEATED.format(name): partial(cheated, item) for name, item in POLICIES.items()}


LINES = _lines()
"""What makes each line of the table, by its name."""


def table(counts: Sequence[int] = COUNTS) -> list[str]:
    """Return what each policy does to so many calls, as lines of Markdown."""
    lines = [
        "| policy | calls wanted | granted | refused | shortened | money talked away | worst overspend |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, run in LINES.items():
        for count in counts:
            runs = [run(seed, count) for seed in range(SEEDS)]
            granted, refused, shortened, used = (
                sum(values) / SEEDS
                for values in zip(
                    *((run.granted, run.refused, run.shortened, run.used) for run in runs), strict=True
                )
            )
            overspend = max(run.overspend for run in runs)
            means = f"{granted:.1f} | {refused:.1f} | {shortened:.1f} | {used:.0f} %"
            lines.append(f"| {name} | {count} | {means} | {overspend:.2f} |")
    return lines
