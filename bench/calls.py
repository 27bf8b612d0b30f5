"""Whole calls a second: authorize, start, stop; every commit durable.

    python bench/calls.py [--workers 1 2] [--windows 1 16 64] [--seconds 10] [--clients 1000] [--rates 100000]

The generator keeps as many calls outstanding as the window says, each on a source port of its own. Its
packets are built before the clock starts. Generator, daemon and PostgreSQL share this machine. Afterwards
every acknowledged Stop must have its record, and `billing verify` must be clean.
"""

import argparse
import os
import random
import select
import socket
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from world import SECRET, World, world

from radiusd.codec import encode
from radiusd.credentials import hide_password
from radiusd.wire import Code, request

_RESEND_SECONDS = 2.0

Packets = list[tuple[bytes, int]]
"""The packets of a call, each with the port it goes to."""


@dataclass
class Line:
    """One caller: places one call after the other, from a source port of his own."""

    socket: socket.socket
    packets: Packets
    place: int = 0
    sent_at: float = 0.0
    resent: int = 0
    seconds: list[float] = field(default_factory=list)

    def send(self) -> None:
        """Send the packet that is due."""
        packet, port = self.packets[self.place]
        self.sent_at = time.perf_counter()
        self.socket.sendto(packet, ("127.0.0.1", port))

    def resend(self) -> None:
        """Send it again, if nobody answered in time."""
        if time.perf_counter() - self.sent_at > _RESEND_SECONDS:
            self.resent += 1
            self.send()

    def receive(self) -> None:
        """Take an answer; the next packet is due when it is the right one."""
        reply = self.socket.recv(4096)
        if reply[1] == self.packets[self.place][0][1]:
            self.seconds.append(time.perf_counter() - self.sent_at)
            self.place += 1


def main() -> None:
    """Measure every combination of workers and windows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rates", type=int, default=100_000)
    options = parser.parse_args()
    print(sys.version, "built with", sysconfig.get_config_var("CONFIG_ARGS"))
    print("workers window   calls/s  requests/s  p50 ms  p99 ms  sent again")
    for workers in options.workers:
        with world(clients=options.clients, rates=options.rates, workers=workers) as running:
            stops = 0
            for window in options.windows:
                lines = place_calls(running, window=window, seconds=options.seconds, packets=call_packets)
                _show(workers, window, lines, options.seconds)
                stops += sum(line.place // 3 for line in lines)
            _prove(running, stops)


def place_calls(
    running: World, *, window: int, seconds: float, packets: Callable[[World, int], Packets]
) -> list[Line]:
    """Keep *window* calls outstanding for *seconds*, take the last answers, and return the lines."""
    calls = int(seconds * 6000 / window) + 10
    lines = [_line(running, calls, packets) for _ in range(window)]
    by_descriptor = {line.socket.fileno(): line for line in lines}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    ends_at = time.perf_counter() + seconds
    for line in lines:
        line.send()
    while time.perf_counter() < ends_at:
        for descriptor, _ in poll.poll(0.5):
            line = by_descriptor[descriptor]
            line.receive()
            line.send()
        for line in lines:
            line.resend()
    for line in lines:
        line.socket.settimeout(_RESEND_SECONDS)
        line.receive()
        line.socket.close()
    return lines


def _line(running: World, calls: int, packets: Callable[[World, int], Packets]) -> Line:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    built: Packets = []
    for _ in range(calls):
        built += packets(running, len(built) % 256)
    return Line(opened, built)


def _show(workers: int, window: int, lines: list[Line], seconds: float) -> None:
    latencies = sorted(latency for line in lines for latency in line.seconds)
    print(
        f"{workers:7} {window:6} {len(latencies) / 3 / seconds:9.0f} {len(latencies) / seconds:11.0f}"
        f" {1000 * statistics.median(latencies):7.2f} {1000 * latencies[int(len(latencies) * 0.99)]:7.2f}"
        f" {sum(line.resent for line in lines):11}",
        flush=True,
    )


def call_packets(running: World, identifier: int) -> Packets:
    """Return the three packets of a call, as a Cisco gateway writes them."""
    name, password = random.choice(running.accounts)
    session_id, conf_id = os.urandom(8).hex(), " ".join(os.urandom(4).hex() for _ in range(4))
    authenticator = os.urandom(16)
    common = (
        encode("User-Name", name)
        + encode("NAS-IP-Address", "127.0.0.1")
        + encode("Called-Station-Id", (random.choice(running.codes) + "5550123456")[:12])
        + encode("Calling-Station-Id", "12125550123")
        + encode("Acct-Session-Id", session_id)
        + encode("h323-conf-id", f"h323-conf-id={conf_id}")
    )
    dated = common + encode("Acct-Delay-Time", 0) + encode("Event-Timestamp", int(time.time()))
    started = dated + encode("h323-setup-time", "h323-setup-time=12:00:00.000 UTC Mon Nov 23 2026")
    stopped = (
        started
        + encode("Acct-Session-Time", random.randint(1, 600))
        + encode("h323-connect-time", "h323-connect-time=12:00:05.000 UTC Mon Nov 23 2026")
        + encode("h323-disconnect-time", "h323-disconnect-time=12:10:05.000 UTC Mon Nov 23 2026")
        + encode("h323-disconnect-cause", "h323-disconnect-cause=10")
    )
    proof = encode("User-Password", hide_password(password, authenticator, SECRET))
    asked = request(Code.ACCESS_REQUEST, identifier, proof + common, SECRET, authenticator=authenticator)
    start = _record(1, started, identifier + 1)
    stop = _record(2, stopped, identifier + 2)
    return [(asked, running.auth_port), (start, running.acct_port), (stop, running.acct_port)]


def _record(status: int, attributes: bytes, identifier: int) -> bytes:
    attributes = encode("Acct-Status-Type", status) + attributes
    return request(Code.ACCOUNTING_REQUEST, identifier % 256, attributes, SECRET)


def _prove(running: World, stops: int) -> None:
    """Compare what was acknowledged with what is on record."""
    billing = str(Path(sys.executable).with_name("billing"))
    listed = subprocess.run(
        [billing, "--config", str(running.directory), "verify", "--json"], capture_output=True, text=True
    )
    if listed.returncode:
        raise SystemExit(f"billing verify found a difference:\n{listed.stdout}{listed.stderr}")
    xdrs = subprocess.run(
        [billing, "--config", str(running.directory), "xdrs", "--json"],
        capture_output=True,
        check=True,
        text=True,
    )
    count = xdrs.stdout.count('"call_id"')
    if count < stops:
        raise SystemExit(f"{stops} Stops were acknowledged, but only {count} records exist")
    print(f"        {stops} acknowledged Stops, {count} records, billing verify clean", flush=True)


if __name__ == "__main__":
    main()
