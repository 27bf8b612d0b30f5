"""What many clients cost: applying them, taking them over while calls go on, looking at them.

    python bench/clients.py [--clients 100000] [--accounts 150000] [--workers 2] [--runs 5]

A daemon with a few clients serves a light load of calls, when `billing apply` brings the many. The same
file is applied again, then with one client of a hundred changed, then with a template changed that every
second client follows. Each time: how long the command took (seconds, seconds of its processor time, most
memory), how long until every worker used it, and the slowest reply of the daemon until then. Memory of
the daemon is each process's own share (PSS), in MiB. At last commands that look at clients, by clock.
"""

import argparse
import os
import random
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from calls import Line, call_packets
from commands import billing
from rates import Watch, memory
from world import World, world

from radiusd.wire import Code

_RESELLERS = 200
_CALLERS = 8
_PAUSE_SECONDS = 0.005
_CALLS_EACH = 20_000
# By chance all of so many ports meet the same one of two workers once in 30,000 times.
_PROBES = 16
_PROBE_SECONDS = 0.05
_PATIENCE_SECONDS = 600
_PROBE = "probe"

_RESELLER = """
[[reseller]]
name = "reseller {number}"
capacity = 100000
"""

_TEMPLATES = """
[[template]]
name = "retail"
rate_table = "all"
credit = "100.00"
capacity = {capacity}
payment_terms = "monthly"
low_balance.notify_client = "20.00"
company.notify_about_blocks = true
"""

_CLIENT = """
[[client]]
name = "client {number:06}"
currency = "EUR"
timezone = "Europe/Paris"
reseller = "reseller {reseller}"
tags = ["region {region}", "wholesale"]
hidden_numbers = true
panel.login = "login{number:06}"
company.name = "Company {number}"
company.main_email = "office{number}@example.com"
company.noc_email = "noc{number}@example.com"
company.billing_email = "billing{number}@example.com"
company.address = "Street {number}, Town {region}"
company.zip = "{number:06}"
company.tax_id = "FR{number:011}"
locale = "fr"
"""

_OF_TEMPLATE = 'template = "retail"\n'

_OF_HIS_OWN = """rate_table = "all"
credit = "{credit}"
capacity = 50
payment_terms = "weekly"
low_balance = {{ threshold = "10.00", capacity = 5, notify_client = "25.00" }}
charge_max = "500.00"
"""

# Workers take clients over in the order of their ids, so this one is the last.
_LAST = """
[[client]]
name = "probe"
currency = "EUR"
postpaid = true
rate_table = "all"
"""

_BY_NAME = """[[client.account]]
name = "{name}"
password = "{password}"
"""

_BY_ADDRESS = """[[client.account]]
ip = "{ip}"
tech_prefix = "{prefix}"
capacity = 20
"""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clients", type=int, default=100_000)
    parser.add_argument("--accounts", type=int, default=150_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5, help="of each command that looks at clients")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with world(clients=10, rates=1000, workers=options.workers) as running:
        print(f"{options.clients} clients, {options.accounts} accounts, {options.workers} workers")
        _idle(running)
        file = running.directory / "many.toml"
        for step, (title, changes) in enumerate(_STEPS.items()):
            if changes is not None:
                write(file, options.clients, options.accounts, f"password-{step}", **changes)
            _apply(running, title, file, f"password-{step}" if changes is not None else None)
        _look(running, options.clients, options.runs)


# What is written before each application, other than in the file before; None leaves the file alone.
_STEPS: dict[str, dict[str, int] | None] = {
    "all new": {},
    "unchanged": None,
    "1 % changed": {"one_in": 100},
    "template changed": {"one_in": 100, "template_capacity": 60},
}


def write(
    path: Path, clients: int, accounts: int, password: str, one_in: int = 0, template_capacity: int = 40
) -> None:
    """Write definitions; *one_in* so many clients differs, and a last one's account has this password."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_RESELLER.format(number=number) for number in range(_RESELLERS))
        file.write(_TEMPLATES.format(capacity=template_capacity))
        for number in range(clients):
            file.write(_CLIENT.format(number=number, reseller=number % _RESELLERS, region=number % 90))
            is_other = one_in and number % one_in == 1
            own = _OF_HIS_OWN.format(credit="200.00" if is_other else "150.00")
            file.write(own if number % 2 else _OF_TEMPLATE)
            file.write(_BY_NAME.format(name=f"user{number:06}", password=f"pw-{number}"))
            if number < accounts - clients:
                ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
                file.write(_BY_ADDRESS.format(ip=ip, prefix=number % 100))
        file.write(_LAST + _BY_NAME.format(name=_PROBE, password=password))


# --- calls meanwhile --------------------------------------------------------------------------------


class Callers(threading.Thread):
    """Places calls on some ports in turn, with a pause after each answer; `replies` are kept, in seconds.

    Each reply stands with the moment at which it came.
    """

    def __init__(self, running: World) -> None:
        """Build some of the calls."""
        super().__init__(daemon=True)
        self._running = running
        self._over = threading.Event()
        self._lines = [Line(_port(), []) for _ in range(_CALLERS)]
        self.replies: list[tuple[float, float]] = []

    def run(self) -> None:
        """Call until told to end."""
        while not self._over.wait(_PAUSE_SECONDS):
            line = self._lines[len(self.replies) % _CALLERS]
            if line.place == len(line.packets):
                line.packets += call_packets(self._running, len(line.packets) % 256)
            line.send()
            place = line.place
            while line.place == place:
                line.receive()
            self.replies.append((time.perf_counter(), line.seconds[-1]))

    def end(self) -> None:
        """Call no more."""
        self._over.set()
        self.join()
        for line in self._lines:
            line.socket.close()


def _port() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    opened.settimeout(10)
    return opened


@contextmanager
def _calling(running: World) -> Iterator[Callers]:
    callers = Callers(running)
    callers.start()
    try:
        yield callers
    finally:
        callers.end()


def _in_milliseconds(callers: Callers, since: float = 0.0, until: float = float("inf")) -> str:
    """Write how many replies came, the median and the slowest."""
    found = [1000 * seconds for at, seconds in callers.replies if since <= at < until]
    if not found:
        return f"{'-':>8} {'-':>7} {'-':>8}"
    return f"{len(found):8} {statistics.median(found):7.1f} {max(found):8.1f}"


def _await_use(running: World, password: str) -> None:
    """Return when every worker accepts the probe's account with its new password."""
    ports = [_port() for _ in range(_PROBES)]
    caller = replace(running, accounts=[(_PROBE, password)])
    until = time.monotonic() + _PATIENCE_SECONDS
    waiting = list(ports)
    while waiting and time.monotonic() < until:
        for port in list(waiting):
            (asked, to), *_ = call_packets(caller, 0)
            port.sendto(asked, ("127.0.0.1", to))
            if port.recv(4096)[0] == Code.ACCESS_ACCEPT:
                waiting.remove(port)
        time.sleep(_PROBE_SECONDS)
    for port in ports:
        port.close()
    if waiting:
        raise SystemExit(f"not in use after {_PATIENCE_SECONDS} s")


# --- the measurements -------------------------------------------------------------------------------

_HEAD = (
    f"{'':17} {'apply s':>8} {'cpu s':>6} {'MiB':>6} {'in use after s':>15}"
    f" | {'applying':>8} {'ms p50':>7} {'slowest':>8} | {'taking':>8} {'ms p50':>7} {'slowest':>8}"
    f" | daemon {'before':>7} {'most':>6} {'after':>6}"
)


def _idle(running: World) -> None:
    print(_HEAD)
    with _calling(running) as callers:
        time.sleep(5)
    print(f"{'nothing':17} {'':38} | {_in_milliseconds(callers)}", flush=True)


def _apply(running: World, title: str, file: Path, password: str | None) -> None:
    before = memory(running)["daemon"]
    watch = Watch(running)
    watch.start()
    with _calling(running) as callers:
        cost = billing(running.directory, "apply", str(file))
        applied = time.perf_counter()
        if password is not None:
            _await_use(running, password)
        in_use = time.perf_counter()
        time.sleep(2)
    watch.end()
    after = memory(running)["daemon"]
    print(
        f"{title:17} {cost.seconds:8.1f} {cost.processor_seconds:6.1f} {cost.peak_mib:6.0f}"
        f" {in_use - applied:15.1f} | {_in_milliseconds(callers, until=applied)}"
        f" | {_in_milliseconds(callers, since=applied)}"
        f" |        {before:7} {watch.most['daemon']:6} {after:6}",
        flush=True,
    )


_LOOKS = (
    ("clients", "show", "client {number:06}"),
    ("clients", "list"),
    ("clients", "list", "--limit", "50", "--sort", "-available"),
    ("clients", "search", "--company-noc-email", "noc{number}@"),
    ("clients", "search", "--template", "retail", "--credit", "100", "--tags", "region 7"),
    ("clients", "list", "--csv"),
)


def _look(running: World, clients: int, runs: int) -> None:
    print(f"{'by clock':80} {'median s':>9} {'max s':>7} {'cpu s':>7}")
    for words in _LOOKS:
        costs = [
            billing(running.directory, *(word.format(number=random.randrange(clients)) for word in words))
            for _ in range(runs)
        ]
        seconds = [cost.seconds for cost in costs]
        processor = statistics.median(cost.processor_seconds for cost in costs)
        print(f"{' '.join(words):80} {statistics.median(seconds):9.2f} {max(seconds):7.2f} {processor:7.2f}")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
