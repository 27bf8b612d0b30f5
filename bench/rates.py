"""What many rates cost a running daemon: seconds until in use, memory, calls meanwhile; and a lookup's time.

    python bench/rates.py [--rates 1000000] [--workers 2]

The daemon runs with a few rates when `billing rates import` brings the many. One switch asks all the while,
one question after the other. Memory is each process's own share (PSS); that of the database is counted apart.
A lookup leads from a number to its rate: hot was asked for before, cold never. It is
counted in time of the processor.
"""

import argparse
import gc
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from calls import call_packets, place_calls
from world import World, world

from billing_core.catalogue import Catalogue
from billing_core.client import Client, Status
from billing_core.exchange import ExchangeRate, exchange
from billing_core.rate_table import Rate, rate_table

_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 120
_NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def main() -> None:
    """Measure the daemon, then the lookup."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rates", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with world(clients=10, rates=1000, workers=options.workers) as running:
        _take_over(running, options.rates, options.workers)
    print(f"{'rates':>9} {'hot us':>8} {'cold us':>8} {'cold, converted us':>19}")
    for count in (1000, 100_000, options.rates):
        _look_up(count)


class Watch(threading.Thread):
    """Looks at the daemon's memory now and then, and keeps the most there was."""

    def __init__(self, running: World) -> None:
        """Watch all its processes."""
        super().__init__(daemon=True)
        self._running = running
        self._over = threading.Event()
        self.most: dict[str, int] = defaultdict(int)

    def run(self) -> None:
        """Look until told to end."""
        while not self._over.wait(_LOOK_SECONDS):
            for kind, mebibytes in memory(self._running).items():
                self.most[kind] = max(self.most[kind], mebibytes)

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


def memory(running: World) -> dict[str, int]:
    """Return the MiB of the daemon and of its database, each page divided among those who share it."""
    postmaster = next(running.directory.rglob("postmaster.pid"))
    pids = {"daemon": running.pid, "database": int(postmaster.read_text().splitlines()[0])}
    return {kind: sum(map(_share, _with_children(pid))) // 1024 for kind, pid in pids.items()}


def _share(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def _with_children(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(one for child in children for one in _with_children(int(child)))]


def _workers_with(pid: int, version: str) -> int:
    """Return how many processes have mapped that version of a table, the one that writes it aside."""
    count = 0
    for one in _with_children(pid):
        try:
            count += version in Path(f"/proc/{one}/maps").read_text()
        except FileNotFoundError:
            continue
    return count


def _take_over(running: World, count: int, workers: int) -> None:
    rates = running.directory / "many.csv"
    with rates.open("w") as file:
        file.write("code,destination,price_per_minute\n")
        for number in range(count):
            file.write(f"{1_000_000 + number},Place {number % 900},0.{random.randint(1000, 3999)}\n")
    before = memory(running)
    billing = [str(Path(sys.executable).with_name("billing")), "--config", str(running.directory)]
    began = time.monotonic()
    subprocess.run([*billing, "rates", "import", "all", str(rates), "--yes"], check=True, capture_output=True)
    imported = time.monotonic()
    watch = Watch(running)
    watch.start()
    in_use: list[float] = []
    asking = threading.Thread(target=_await_use, args=(running, workers, in_use), daemon=True)
    asking.start()
    answered: list[float] = []
    while asking.is_alive():
        for line in place_calls(running, window=1, seconds=0.5, packets=call_packets):
            answered += line.seconds
    watch.end()
    after = memory(running)
    answered.sort()
    print(f"{count} rates imported in {imported - began:.1f} s; in use by {workers} workers after", end=" ")
    print(f"{in_use[0] - imported:.1f} s more" if in_use else f"more than {_PATIENCE_SECONDS} s")
    print(f"meanwhile {len(answered)} answers, p50 {1000 * answered[len(answered) // 2]:.1f} ms,", end=" ")
    print(f"p99 {1000 * answered[len(answered) * 99 // 100]:.1f} ms, slowest {1000 * answered[-1]:.1f} ms")
    print(f"{'MiB':>9} {'before':>7} {'most':>7} {'after':>7}")
    for kind in before:
        print(f"{kind:>9} {before[kind]:7} {watch.most[kind]:7} {after[kind]:7}")


def _await_use(running: World, workers: int, in_use: list[float]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if _workers_with(running.pid, ".rates") >= workers:
            in_use.append(time.monotonic())
            return
        time.sleep(_LOOK_SECONDS)


def _look_up(count: int) -> None:
    generator = random.Random(1)
    codes = [str(1_000_000 + number) for number in range(count)]
    prices = [Decimal(generator.randint(1000, 3999)).scaleb(-4) for _ in range(4000)]
    rates = (Rate(code, "Place", generator.choice(prices), Decimal(0), 1, 1, 0) for code in codes)
    catalogue = Catalogue()
    catalogue.put_rate_table(rate_table(1, "many", "EUR", rates))
    catalogue.exchange = exchange([ExchangeRate("EUR", "USD", Decimal("1.1"), _NOW)])
    client = Client(1, "client", Status.ACTIVE, "EUR", postpaid=True, credit=Decimal(0), rate_table_id=1)
    cold = [code + "55501" for code in generator.sample(codes, min(count, 100_000))]
    hot = cold[:500] * 200
    taken = [
        _microseconds(catalogue, client, hot),
        _microseconds(catalogue, client, cold),
        _microseconds(catalogue, replace(client, currency="USD"), cold[::-1]),
    ]
    print(f"{count:9} {taken[0]:8.1f} {taken[1]:8.1f} {taken[2]:19.1f}", flush=True)


def _microseconds(catalogue: Catalogue, client: Client, numbers: list[str]) -> float:
    gc.disable()  # As in a worker's turn.
    began = time.process_time()
    for number in numbers:
        catalogue.rate(client, 1, number, _NOW)
    ended = time.process_time()
    gc.enable()
    return (ended - began) / len(numbers) * 1e6


if __name__ == "__main__":
    main()
