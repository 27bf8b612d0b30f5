"""What becomes of an outcome: the reply goes out, is counted, and the request's line is logged."""

from collections import Counter as Tally
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

from billing_core.charging import Outcome
from billing_core.denial import Denial
from billing_core.ports import UnknownRecord
from radiusd import clock, logs
from radiusd.canonical import canonical_line, denial_of
from radiusd.intake import Door
from radiusd.logs import RequestLog
from radiusd.metrics import Metrics
from radiusd.protocol import Protocol, Received
from radiusd.sequence import Sequences
from radiusd.sockets import Datagram
from radiusd.wire import Code, DropReason

KINDS = {Code.ACCESS_REQUEST: "access", Code.ACCOUNTING_REQUEST: "accounting", Code.STATUS_SERVER: "status"}

_HELD_MAX = 10_000
# RFC 2867 section 3.1.
_TUNNEL = range(9, 15)


class Waiting(NamedTuple):
    """A request of this turn, how to answer it, and when it came, by the monotonic clock."""

    received: Received
    listener: Door
    datagram: Datagram
    at: float


@dataclass(frozen=True, slots=True)
class _Held:
    """A refusal that waits, so that nobody can try passwords quickly."""

    due: float
    waiting: Waiting
    outcome: Outcome


class Answers:
    """Gives a worker's answers, once their transaction is committed."""

    def __init__(
        self,
        protocol: Protocol,
        metrics: Metrics,
        request_log: RequestLog,
        tally: "Tally[tuple[str, str, str]]",
        reject_delay_seconds: float,
    ) -> None:
        """Count into *tally*; hold a refusal of a wrong proof back for *reject_delay_seconds*."""
        self._protocol = protocol
        self._metrics = metrics
        self._request_log = request_log
        self._tally = tally
        self._reject_delay_seconds = reject_delay_seconds
        self._sequences = Sequences()
        self._held: deque[_Held] = deque()

    def give(self, waiting: Waiting, outcome: Outcome | DropReason, ended: float, timestamp: str) -> None:
        """Answer a request that was decided at *ended*, at once or after the delay."""
        if self._is_to_wait(outcome):
            self._held.append(_Held(ended + self._reject_delay_seconds, waiting, outcome))
        else:
            self._answer(waiting, outcome, ended, timestamp)

    def _is_to_wait(self, outcome: Outcome | DropReason) -> TypeGuard[Outcome]:
        """Tell whether an answer is held back: only a wrong proof's, since calls wait for all others."""
        is_guess = denial_of(outcome) is Denial.BAD_PASSWORD
        return is_guess and self._reject_delay_seconds > 0 and len(self._held) < _HELD_MAX

    def release(self, now: float) -> None:
        """Send the refusals that have waited long enough."""
        if not self._held or self._held[0].due > now:
            return
        timestamp = logs.timestamp(clock.now())
        while self._held and self._held[0].due <= now:
            held = self._held.popleft()
            self._answer(held.waiting, held.outcome, clock.monotonic_seconds(), timestamp)

    def _answer(self, waiting: Waiting, outcome: Outcome | DropReason, ended: float, timestamp: str) -> None:
        received, nas = waiting.received, waiting.received.nas.name
        if isinstance(outcome, DropReason):
            self._protocol.forget(received)
            reply: tuple[Code, bytes] | DropReason = outcome
        else:
            reply = self._protocol.answer(received, outcome, ended)
        if isinstance(reply, DropReason):
            self._tally["dropped", nas, reply.value] += 1
        else:
            waiting.listener.send(reply[1], waiting.datagram)
            self._tally["replies", nas, reply[0].name.lower()] += 1
            self._metrics.replied(KINDS[received.frame.code], ended - waiting.at)
        denial = denial_of(outcome)
        if denial is not None:
            self._tally["denials", nas, denial.value] += 1
            self._metrics.rate_missed(1 if denial is Denial.NO_RATE else 0)
        event, facts = canonical_line(received, outcome, reply, waiting.datagram.source, ended - waiting.at)
        if facts.get("duplicate"):
            self._tally["duplicates", nas, "record"] += 1
        self._count_record(received)
        self._request_log.write(event, facts, timestamp)

    def _count_record(self, received: Received) -> None:
        """Count what nobody else would miss: records of unknown kinds, and gaps in a device's numbers."""
        nas = received.nas.name
        if isinstance(received.request, UnknownRecord):
            status = received.request.status
            self._tally["unknown_records", nas, "tunnel" if status in _TUNNEL else "other"] += 1
        if received.sequence is not None:
            for kind, count in self._sequences.note(nas, *received.sequence).items():
                self._tally["record_numbers", nas, kind] += count
