"""Asks switches to end calls: Disconnect-Requests (RFC 5176) from a thread of the supervisor.

What is to be ended stands in the database, written by turns and sweeps when a slice ran dry, and here for
clients who are stopped or have no money. A switch that refuses, says nothing or does not keep its word is
asked again, ever more rarely and not for ever (RFC 5176 leaves that to us). The call is charged from its
Stop, whatever the switch answers.
"""

import random
import select
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address

import structlog

from billing_core.ports import DataRefusedError, DisconnectOutcome, StorageDownError, TurnConflictError
from billing_core.storage.disconnects import ASKED_MAX, Disconnects, Wanted
from radiusd import clock, retransmission, wire
from radiusd.codec import Attributes
from radiusd.dialects.disconnection import disconnect_attributes
from radiusd.nas import Nas, NasTable
from radiusd.retransmission import JITTER, Retransmission
from radiusd.wire import Code, DropReason

_TICK_SECONDS = 0.2
_POLL_SECONDS = 1.0
_RETRY_SECONDS = 1.0
# Looking for whom to cut reads every call under way: it may take this part of the time, and no more.
_FIND_SHARE = 0.02
_WAITING_MAX = 64  # At one switch; an Identifier names at most 256.
_FAILURES = {DisconnectOutcome.REFUSED, DisconnectOutcome.NO_ANSWER, DisconnectOutcome.IGNORED}
_UNKNOWN_CALL = 503  # RFC 5176 section 3.5: Session Context Not Found.

log = structlog.get_logger()

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that is not answered yet; sent again, it is the same octets."""

    wanted: Wanted
    secret: bytes
    packet: bytes
    schedule: Retransmission


@dataclass(frozen=True, slots=True)
class _Answered:
    """What a switch said, to be recorded."""

    wanted: Wanted
    outcome: DisconnectOutcome
    error_cause: int | None = None


class Disconnector:
    """Everything asked and not answered yet. `outcomes` counts by NAS and outcome since the start."""

    def __init__(self, nas: NasTable, listen: Sequence[str]) -> None:
        """Ask the switches in *nas*, from the first addresses of *listen*."""
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._listen = listen
        self._sockets: dict[int, socket.socket] = {}
        self._asked: dict[tuple[Address, int], _Asked] = {}
        self._answered: list[_Answered] = []
        self._identifier = random.randrange(256)
        self._poll_at = self._find_at = 0.0
        self.use(nas)

    def use(self, nas: NasTable) -> None:
        """Take over other settings of switches."""
        self._nas = {entry.name: entry for entry in nas if entry.disconnect is not None}
        for name in self._nas:
            for outcome in DisconnectOutcome:
                self.outcomes.setdefault((name, outcome.value), 0)

    def run(self, disconnects: Disconnects, stopping: threading.Event) -> None:
        """Ask for the end of the legs in *disconnects* until *stopping* is set."""
        while not stopping.is_set():
            try:
                self._step(disconnects, stopping)
            except (StorageDownError, DataRefusedError, TurnConflictError) as error:
                log.warning("disconnects_delayed", reason=str(error))
                self._rest(disconnects)
            except Exception:
                log.exception("disconnects_failed")
                self._rest(disconnects)
        # What was not answered is asked again after the next start.
        disconnects.close()
        for opened in self._sockets.values():
            opened.close()

    def _step(self, disconnects: Disconnects, stopping: threading.Event) -> None:
        if not self._sockets:
            stopping.wait(_TICK_SECONDS)
        elif ready := select.select(list(self._sockets.values()), [], [], _TICK_SECONDS)[0]:
            for opened in ready:
                self._hear(opened)
        now = clock.monotonic_seconds()
        self._send_again(now)
        if now >= self._poll_at and (self._nas or self._answered):
            self._poll_at = now + _POLL_SECONDS
            self._poll(disconnects, now)

    def _poll(self, disconnects: Disconnects, now: float) -> None:
        while self._answered:
            self._record(disconnects, self._answered[0])
            self._answered.pop(0)
        if now >= self._find_at:
            disconnects.find(self._nas, clock.now())
            took = clock.monotonic_seconds() - now
            self._find_at = now + max(_POLL_SECONDS, took / _FIND_SHARE)
        busy = Counter(address for address, _ in self._asked)
        free = [name for name, nas in self._nas.items() if busy[_address(nas)] < _WAITING_MAX]
        for wanted in disconnects.take(free, clock.now(), _WAITING_MAX) if free else ():
            settled = wanted.settled
            if settled is not None:
                self._answered.append(_Answered(wanted, settled))
                continue
            if wanted.was_ignored:
                self._tell(wanted, DisconnectOutcome.IGNORED)
            self._ask(wanted, self._nas[wanted.nas], now)

    def _ask(self, wanted: Wanted, nas: Nas, now: float) -> None:
        address = _address(nas)
        identifier = self._free_identifier(address)
        packet = wire.request(
            Code.DISCONNECT_REQUEST,
            identifier,
            disconnect_attributes(wanted, nas, clock.now()),
            nas.secret,
            message_authenticator=True,
        )
        self._asked[address, identifier] = _Asked(
            wanted, nas.secret, packet, retransmission.first(now, _chance())
        )
        log.info("disconnect_asked", **_named(wanted), to=f"{address[0]} port {address[1]}")
        self._send(address, packet)

    def _free_identifier(self, address: Address) -> int:
        while True:
            self._identifier = (self._identifier + 1) % 256
            if (address, self._identifier) not in self._asked:
                return self._identifier

    def _send_again(self, now: float) -> None:
        for key, asked in [item for item in self._asked.items() if item[1].schedule.due <= now]:
            schedule = asked.schedule.again(now, _chance())
            if schedule is None:
                del self._asked[key]
                self._answered.append(_Answered(asked.wanted, DisconnectOutcome.NO_ANSWER))
                continue
            self._asked[key] = replace(asked, schedule=schedule)
            self._send(key[0], asked.packet)

    def _send(self, address: Address, packet: bytes) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        # A switch that can't be reached now may be later: the schedule goes on as if it were silent.
        with suppress(OSError):
            if family not in self._sockets:
                self._sockets[family] = _opened(family, self._listen)
            self._sockets[family].sendto(packet, address)

    def _hear(self, opened: socket.socket) -> None:
        try:
            octets, source = opened.recvfrom(wire.PACKET_OCTETS_MAX)
        except OSError:
            return
        frame = wire.parse_reply(octets)
        if isinstance(frame, DropReason):
            return
        key = ((str(ip_address(source[0].partition("%")[0])), source[1]), frame.identifier)
        asked = self._asked.get(key)
        if asked is None or not wire.verify_reply(octets, asked.packet[4:20], asked.secret):
            return
        if frame.code in (Code.DISCONNECT_ACK, Code.DISCONNECT_NAK):
            del self._asked[key]
            cause = Attributes(frame.attributes).integer("Error-Cause")
            self._answered.append(_Answered(asked.wanted, _outcome(frame.code, cause), cause))
            self._poll_at = 0.0

    def _record(self, disconnects: Disconnects, answered: _Answered) -> None:
        outcome = disconnects.finish(answered.wanted, answered.outcome, clock.now())
        self._tell(answered.wanted, outcome, answered.error_cause)

    def _tell(self, wanted: Wanted, outcome: DisconnectOutcome, error_cause: int | None = None) -> None:
        """Count what came of asking, and say so: aloud where a call goes on that should not."""
        self.outcomes[wanted.nas, outcome.value] += 1
        is_failure = outcome in _FAILURES
        write = log.warning if is_failure else log.info
        write(
            "disconnect_failed" if is_failure else "disconnect_done",
            **_named(wanted),
            outcome=outcome.value,
            error_cause=error_cause,
            attempt=min(wanted.attempt, ASKED_MAX),
            attempts_max=ASKED_MAX,
        )

    def _rest(self, disconnects: Disconnects) -> None:
        """Leave the database alone for a moment."""
        disconnects.close()
        self._poll_at = clock.monotonic_seconds() + _RETRY_SECONDS


def _outcome(code: Code, cause: int | None) -> DisconnectOutcome:
    if code is Code.DISCONNECT_ACK:
        return DisconnectOutcome.ACKNOWLEDGED
    return DisconnectOutcome.UNKNOWN_CALL if cause == _UNKNOWN_CALL else DisconnectOutcome.REFUSED


def _address(nas: Nas) -> Address:
    assert nas.disconnect is not None, f"{nas.name} takes no Disconnect-Requests"
    return nas.disconnect[0], nas.disconnect[1]


def _named(wanted: Wanted) -> dict[str, str]:
    return {
        "nas": wanted.nas,
        "reason": wanted.reason.value,
        "call_id": wanted.call_id,
        "session_id": wanted.session_id,
    }


def _chance() -> float:
    return random.uniform(-JITTER, JITTER)


def _opened(family: int, listen: Sequence[str]) -> socket.socket:
    """Open a socket at the first of our addresses of that kind: switches know us by it."""
    ours = next((own for own in listen if (":" in own) == (family == socket.AF_INET6)), "")
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setblocking(False)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if ours:
        opened.bind((ours, 0))
    return opened
