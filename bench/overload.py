"""What is answered in time when more is asked than can be decided: the curve of goodput under overload.

    python bench/overload.py [--workers 2] [--factors 0.5 1 2 3 10] [--seconds 5] [--storm-seconds 30]

The peak is measured with so many questions outstanding, while the generator sends the surplus to a port where
nobody listens: what the generator itself costs stands on both sides. Then as many questions are sent as the
factor says, however many are answered; one in a hundred is a Stop, one in a thousand a ping.
An answer counts when it comes within 1.5 s. Last comes a storm, in which every question is repeated as
switches do, and after it the load of a normal day. Generator, daemon and PostgreSQL share this machine.
"""

import argparse
import os
import random
import select
import socket
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path

from calls import call_packets
from world import SECRET, World, world

from radiusd.wire import Code, request

IN_TIME_SECONDS = 1.5
OFFERED_MAX = 40_000
_SOCKETS = 512
_TICK_SECONDS = 0.001
_STOP_EVERY, _PING_EVERY = 100, 1000
_WINDOW = 512
_SETTLE_SECONDS = 2.0
# Most of a storm is repetitions: so many of what is sent are new.
_NEW_SHARE = 0.5
_REPEAT_SECONDS, _TRIES = 2.0, (3, 5)


@dataclass(slots=True)
class Asked:
    """One packet, and what became of it: `seconds` is how long its answer took, from the last sending."""

    kind: str
    octets: bytes
    port: int
    line: int
    tries_max: int = 1
    tries: int = 0
    sent_at: float = 0.0
    seconds: float | None = None


@dataclass
class Generator:
    """Sends packets at a rate, whatever comes back."""

    running: World
    dead_port: int
    asked: list[Asked] = field(default_factory=list)
    answers: int = 0

    def __post_init__(self) -> None:
        """Open the source ports."""
        self._lines = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(_SOCKETS)]
        self._epoll = select.epoll()
        self._numbers: dict[int, int] = {}
        self._waiting: dict[tuple[int, int], list[Asked]] = defaultdict(list)
        for number, line in enumerate(self._lines):
            line.bind(("127.0.0.1", 0))
            line.setblocking(False)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._epoll.register(line.fileno(), select.EPOLLIN)
            self._numbers[line.fileno()] = number

    def build(self, many: int, *, questions_only: bool = False, repeats: bool = False) -> deque[Asked]:
        """Return *many* packets, which takes longer than to send them; questions may be repeated."""
        built: deque[Asked] = deque()
        for number in range(many):
            line, identifier = number % _SOCKETS, number // _SOCKETS % 256
            kind, octets, port = "question", b"", self.running.auth_port
            if not questions_only and number % _PING_EVERY == 7:
                kind, octets = "ping", request(Code.STATUS_SERVER, identifier, b"", SECRET)
            elif not questions_only and number % _STOP_EVERY == 3:
                kind = "stop"
                octets, port = call_packets(self.running, (identifier - 2) % 256)[2]
            else:
                octets, _ = call_packets(self.running, identifier)[0]
            tries_max = random.randint(*_TRIES) if repeats and kind == "question" else 1
            built.append(Asked(kind, octets, port, line, tries_max))
        return built

    def offer(self, packets: deque[Asked], rate: float, seconds: float) -> None:
        """Send *packets* at *rate* a second; a repetition that is due takes the place of a new one."""
        repeats: deque[tuple[float, Asked]] = deque()
        began = time.perf_counter()
        sent = 0
        while (now := time.perf_counter()) - began < seconds:
            while sent < (now - began) * rate:
                while repeats and repeats[0][1].seconds is not None:
                    repeats.popleft()
                is_due = bool(repeats) and repeats[0][0] <= now
                one = repeats.popleft()[1] if is_due else packets.popleft()
                self._send(one, now)
                sent += 1
                if one.tries < one.tries_max:
                    repeats.append((now + _REPEAT_SECONDS, one))
            self._receive(_TICK_SECONDS)

    def saturate(self, packets: deque[Asked], seconds: float, surplus: float) -> float:
        """Keep a window of *packets* outstanding beside the surplus; return the answers a second."""
        began = time.perf_counter()
        self.answers, sent, wasted = 0, 0, 0
        while (now := time.perf_counter()) - began < seconds:
            while sent - self.answers < _WINDOW:
                self._send(packets.popleft(), now)
                sent += 1
            while wasted < (now - began) * surplus:
                self._lines[wasted % _SOCKETS].sendto(packets[0].octets, ("127.0.0.1", self.dead_port))
                wasted += 1
            self._receive(_TICK_SECONDS)
        return self.answers / seconds

    def settle(self) -> list[Asked]:
        """Take what still comes, and return what was asked; begin a new count."""
        ends_at = time.perf_counter() + _SETTLE_SECONDS
        while time.perf_counter() < ends_at:
            self._receive(0.01)
        self._waiting.clear()
        asked, self.asked = self.asked, []
        return asked

    def _send(self, one: Asked, now: float) -> None:
        if not one.tries:
            self.asked.append(one)
            self._waiting[one.line, one.octets[1]].append(one)
        one.tries += 1
        one.sent_at = now
        self._lines[one.line].sendto(one.octets, ("127.0.0.1", one.port))

    def _receive(self, seconds: float) -> None:
        for descriptor, _ in self._epoll.poll(seconds, _SOCKETS):
            number = self._numbers[descriptor]
            try:
                while True:
                    self._take(number, self._lines[number].recv(4096), time.perf_counter())
            except BlockingIOError:
                continue

    def _take(self, line: int, reply: bytes, now: float) -> None:
        """Find out whose answer it is: identifiers are few (RFC 2865 section 3)."""
        for one in reversed(self._waiting[line, reply[1]]):
            if md5(reply[:4] + one.octets[4:20] + reply[20:] + SECRET).digest() == reply[4:20]:
                if one.seconds is None:
                    one.seconds = now - one.sent_at
                    self.answers += 1
                return


def main() -> None:
    """Measure the peak, the curve and the storm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--factors", type=float, nargs="+", default=[0.5, 1, 2, 3, 10])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--storm-seconds", type=float, default=30.0)
    options = parser.parse_args()
    with world(clients=1000, rates=100_000, workers=options.workers) as running:
        generator = Generator(running, _free_port())
        alone = _peak(generator, 4.0, 0.0)
        print(f"peak {alone:.0f}/s of {options.workers} workers")
        print("factor  offered/s  peak/s  in time/s  of peak  p50 ms  p99 ms  questions  stops  pings    MiB")
        for factor in options.factors:
            offered = min(factor * alone, OFFERED_MAX)
            peak = _peak(generator, options.seconds, max(0.0, offered - alone))
            generator.offer(generator.build(int(offered * options.seconds) + 10), offered, options.seconds)
            _show(f"{factor:6g}", generator.settle(), running, offered, peak, options.seconds)
        if options.storm_seconds:
            _storm(generator, alone, options.storm_seconds, options.seconds)


def _peak(generator: Generator, seconds: float, surplus: float) -> float:
    peak = generator.saturate(generator.build(int(seconds * 20_000), questions_only=True), seconds, surplus)
    generator.settle()
    return peak


def _storm(generator: Generator, alone: float, storm_seconds: float, seconds: float) -> None:
    """Offer ten times the peak with repetitions, and at once after that half the peak."""
    offered, normal = min(10 * alone, OFFERED_MAX), alone / 2
    stormy = generator.build(int(offered * storm_seconds * _NEW_SHARE), repeats=True)
    calm = generator.build(int(normal * seconds) + 10)
    generator.offer(stormy, offered, storm_seconds)
    storm, generator.asked = generator.asked, []
    generator.offer(calm, normal, seconds)
    after = generator.settle()
    _show("storm ", storm, generator.running, offered, alone, storm_seconds)
    _show("after ", after, generator.running, normal, alone, seconds)


def _show(name: str, asked: list[Asked], running: World, offered: float, peak: float, seconds: float) -> None:
    good = sorted(one.seconds for one in asked if one.seconds is not None and one.seconds <= IN_TIME_SECONDS)
    share = {kind: _share_in_time(asked, kind) for kind in ("question", "stop", "ping")}
    middle, late = (1000 * good[int(len(good) * part)] if good else 0 for part in (0.5, 0.99))
    print(
        f"{name}  {offered:9.0f}  {peak:6.0f}  {len(good) / seconds:9.0f}  {len(good) / seconds / peak:7.0%}"
        f"  {middle:6.0f}  {late:6.0f}  {share['question']:9.0%}  {share['stop']:5.0%}  {share['ping']:5.0%}"
        f"  {_resident_mib(running.pid):5.0f}",
        flush=True,
    )


def _share_in_time(asked: list[Asked], kind: str) -> float:
    told = [one.seconds is not None and one.seconds <= IN_TIME_SECONDS for one in asked if one.kind == kind]
    return sum(told) / max(1, len(told))


def _resident_mib(supervisor: int) -> float:
    """Return the memory of the largest worker."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    pages = [int(Path(f"/proc/{child}/statm").read_text().split()[1]) for child in children]
    return max(pages) * os.sysconf("SC_PAGESIZE") / 2**20


def _free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
