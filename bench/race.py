"""Workers, payments, definitions and the sweep racing on a few clients.

    python bench/race.py [--seconds 60] [--clients 5] [--workers 2]

Calls are placed by many lines at once, some of which never send their Stop. Meanwhile payments are booked
and definitions applied without a pause, and the sweep closes what fell silent. In the end no request may
have gone without its answer, no turn may have failed, and `billing verify` must be clean. The longest
reply is shown beside that of a run without payments and definitions, and who waited for whose lock longer
than 50 ms.
"""

import argparse
import multiprocessing
import random
import re
import subprocess
import sys
import time
from decimal import Decimal
from itertools import pairwise
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

from calls import Line, call_packets, place_calls
from world import World, world

from billing_core.admin.changes.apply import apply_files
from billing_core.admin.ledger.payments import Order, book
from billing_core.ledger import EntryKind
from billing_core.storage.connection import connect
from billing_core.storage.embedded import EmbeddedServer
from billing_core.storage.schema import engine

_LIMITS = """
[limits]
max_call_seconds = 2
silence_margin_seconds = 1
sweep_seconds = 1
"""


_HOLDER = re.compile(r"Processe?s? holding the lock: (?P<pid>[0-9]+)")


def main() -> None:
    """Run both races and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with world(clients=options.clients, rates=1000, workers=options.workers, settings=_LIMITS) as running:
        server = EmbeddedServer(running.directory / "postgres")
        workers = _log_waits(server.url())
        _run(running, "calls alone", min(10.0, options.seconds), undisturbed=True)
        _run(running, "with payments and definitions", options.seconds, undisturbed=False)
        time.sleep(5)  # So that the last silent leg is closed, too.
        _show_waits(server, workers)
        _prove(running)


def _log_waits(url: str) -> set[str]:
    """Let PostgreSQL write down whoever waits for a lock longer than 50 ms; return the workers' processes."""
    with connect(url, application="race").cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET log_lock_waits = on")
        cursor.execute("ALTER SYSTEM SET deadlock_timeout = '50ms'")
        cursor.execute("ALTER SYSTEM SET log_line_prefix = '%m [%p] %a '")
        cursor.execute("SELECT pg_reload_conf()")
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'radiusd'")
        return {str(pid) for (pid,) in cursor.fetchall()}


def _show_waits(server: EmbeddedServer, workers: set[str]) -> None:
    """Tell how often turns waited for each other, and fail if ever for a payment or a definition."""
    lines = server.files.log.read_text().splitlines()
    holders = [
        match["pid"]
        for line, detail in pairwise(lines)
        if "radiusd LOG" in line and "still waiting for" in line and (match := _HOLDER.search(detail))
    ]
    by_others = len([pid for pid in holders if pid not in workers])
    print(
        f"turns that waited for a lock longer than 50 ms: {len(holders)}, of them not for a turn: {by_others}"
    )
    if by_others:
        raise SystemExit(1)


def _run(running: World, name: str, seconds: float, *, undisturbed: bool) -> None:
    url = EmbeddedServer(running.directory / "postgres").url()
    stop = multiprocessing.Event()
    # Processes of their own, as a clerk's are: in threads they would slow down the generator instead.
    done = [] if undisturbed else [multiprocessing.Value("i", 0) for _ in (_pay, _define)]
    tasks = [
        multiprocessing.Process(target=task, args=(running, url, stop, count))
        for task, count in zip((_pay, _define), done, strict=False)
    ]
    for task in tasks:
        task.start()
    lines: list[Line] = place_calls(running, window=32, seconds=seconds, packets=_some_without_stop)
    stop.set()
    for task in tasks:
        task.join()
    latencies = sorted(latency for line in lines for latency in line.seconds)
    print(
        f"{name}: {len(latencies)} replies, {sum(line.resent for line in lines)} sent again,"
        f" median {1000 * latencies[len(latencies) // 2]:.1f} ms, longest {1000 * latencies[-1]:.1f} ms"
        + (f", {done[0].value} payments, {done[1].value} files applied" if done else ""),
        flush=True,
    )


def _some_without_stop(running: World, identifier: int) -> list[tuple[bytes, int]]:
    packets = call_packets(running, identifier)
    return packets if random.random() < 0.9 else packets[: random.randint(1, 2)]


def _pay(running: World, url: str, stop: Event, done: "Synchronized[int]") -> None:
    database = engine(url)
    while not stop.wait(0.02):
        name = f"client {random.choice(running.accounts)[0]}"
        book(database, Order(EntryKind.PAYMENT, name, Decimal("1.25")))
        done.value += 1
    database.dispose()


def _define(running: World, url: str, stop: Event, done: "Synchronized[int]") -> None:
    file = running.directory / "billing.toml"
    text = file.read_text()
    while not stop.wait(0.2):
        file.write_text(text.replace('credit = "1000000"', f'credit = "{random.randint(1, 9) * 100000}"'))
        apply_files(url, [file], who="race", through="bench")
        done.value += 1


def _prove(running: World) -> None:
    billing = str(Path(sys.executable).with_name("billing"))
    told = subprocess.run(
        [billing, "--config", str(running.directory), "verify"], capture_output=True, text=True
    )
    print(told.stdout)
    log = (running.directory / "log").read_text()
    failures = [line for line in log.splitlines() if "database_down" in line or "failed" in line[:200]]
    print(f"billing verify exits {told.returncode}; {len(failures)} failed turns", *failures[:3], sep="\n")
    if told.returncode or failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
