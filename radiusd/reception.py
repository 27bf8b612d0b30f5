"""From the sockets to what a turn decides: all that waits is read, and sorted by what must come first.

A turn takes what it can decide. The rest waits here and not in the kernel, where only the oldest is seen: in
that order, a queue longer than the switches' patience gives nothing but answers that are too late.
"""

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from radiusd import clock
from radiusd.answers import KINDS, Waiting
from radiusd.backlog import Arrival, Backlog
from radiusd.intake import Intake
from radiusd.metrics import Metrics
from radiusd.protocol import Challenged, Dropped, Ping, Protocol, Received, Resent
from radiusd.radsec import Acceptor, Connection, ends_connection, port_of
from radiusd.rare_lines import RareLines
from radiusd.sockets import Listener
from radiusd.strangers import (
    P,
    Stranger,
    Strangers,
    not_its_port,
    unknown_address,
    unknown_certificate,
)
from radiusd.suspicion import Suspicions
from radiusd.wire import Code, DropReason

_READ_MAX: Final = 32_768
"""So many datagrams are read from a socket in a turn, at a few microseconds each."""
_CROWD: Final = 1024
"""While more wait, connections are not read: over TCP it is the other end that waits."""


class Reception:
    """Reads what comes to one worker, and gives its turns what they are to decide."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        acceptors: Sequence[Acceptor],
        signals: Sequence[int],
        protocol: Protocol,
        metrics: Metrics,
        tally: "Tally[tuple[str, str, str]]",
        batch_max: int,
    ) -> None:
        """Read these sockets, *batch_max* packets a turn; count into *tally*; *signals* only wake."""
        self._intake = Intake(listeners, acceptors, signals, self._may_come)
        self._protocol = protocol
        self._metrics = metrics
        self._tally = tally
        self._batch_max = batch_max
        self._backlog = Backlog()
        self._lost: dict[int, int] = {}
        self._rare_lines = RareLines()
        self._suspicions = Suspicions()
        self._strangers = Strangers()

    def wait(self, seconds: float) -> list[int]:
        """Return the descriptors that have something, at the latest after *seconds*."""
        return self._intake.wait(0 if self._backlog else seconds)

    def close(self) -> None:
        """End all connections."""
        self._intake.close()

    def take(self, ready: Sequence[int], began: float, *, is_serving: bool) -> list[Waiting]:
        """Return what this turn decides; answer at once what needs no transaction, pings if we can work."""
        for descriptor, door in self._intake.doors(ready, began):
            if isinstance(door, Listener):
                self._read_socket(descriptor, door, began)
            else:
                self._read_connection(descriptor, door, began)
        self._give_up(began)
        self._strangers.tell(began)
        now = clock.now()
        judged = (
            self._judge(arrival, now, began, is_serving) for arrival in self._backlog.take(self._batch_max)
        )
        return [waiting for waiting in judged if waiting is not None]

    # --- reading ------------------------------------------------------------------------------------

    def _read_socket(self, descriptor: int, listener: Listener, began: float) -> None:
        """Take in all datagrams that wait; who has no business here is dropped unread."""
        table = self._protocol.nas_table
        owner = table.owners.get(listener.number)
        now_nanoseconds = clock.nanoseconds()
        lost = 0
        for _ in range(_READ_MAX):
            datagram = listener.receive()
            if datagram is None:
                break
            at_nanoseconds, lost = datagram.notes()
            nas = table.find(datagram.source[0])
            if nas is None:
                self._turn_away(unknown_address, datagram.source, listener.number)
                continue
            if owner is not None and nas is not owner:
                self._turn_away(not_its_port, datagram.source, listener.number, nas.name, owner.name)
                continue
            # A clock that was set back makes nothing come from the future.
            age = (now_nanoseconds - at_nanoseconds) / 1e9 if 0 < at_nanoseconds < now_nanoseconds else 0.0
            self._put(Arrival(nas, listener, descriptor, listener.port, datagram, began - age))
        if lost:
            self._count_lost(descriptor, lost)

    def _read_connection(self, descriptor: int, connection: Connection, began: float) -> None:
        # RFC 6614 section 2.5: a connection is of whom its certificate names; the addresses in the settings
        # hold as well.
        nas = self._protocol.nas_table.by_certificate(connection.names)
        if nas is None or not nas.is_at(connection.source[0]):
            connection.hang_up()
            self._turn_away(unknown_certificate, connection.source, connection.port, connection.names)
            return
        while len(self._backlog) < _CROWD and (datagram := connection.receive()) is not None:
            port = port_of(datagram.octets)
            # Each has a moment of its own: a turn decides a connection's packets in the order of the stream.
            at = clock.monotonic_seconds()
            self._put(Arrival(nas, connection, descriptor, port, datagram, at))

    def _put(self, arrival: Arrival) -> None:
        if not self._backlog.put(arrival):
            self._drop(DropReason.DUPLICATE_INFLIGHT, arrival.nas.name, arrival.datagram.source[0])

    def _give_up(self, began: float) -> None:
        """Count what waited too long, or is too much; a line for one of a kind tells of all."""
        kinds: dict[tuple[str, DropReason], str] = {}
        for arrival, reason in self._backlog.give_up(began):
            self._tally["dropped", arrival.nas.name, reason.value] += 1
            kinds[arrival.nas.name, reason] = arrival.datagram.source[0]
        for (nas, reason), source in kinds.items():
            self._rare_lines.note(nas, source, reason, began)

    def _count_lost(self, descriptor: int, lost: int) -> None:
        """Count what the kernel had no room for; it tells the sum since the socket was opened (socket(7))."""
        # The sum is of 32 bits.
        more = (lost - self._lost.get(descriptor, 0)) % 2**32
        self._lost[descriptor] = lost
        if more:
            self._tally["dropped", "unknown", DropReason.KERNEL_FULL.value] += more

    def _turn_away(self, of: Callable[P, Stranger], *told: P.args, **named: P.kwargs) -> None:
        """Count a stranger, who has no label of its own, but the line of a minute if it is the latest."""
        self._tally["dropped", "unknown", DropReason.UNKNOWN_CLIENT.value] += 1
        self._strangers.note(of, *told, **named)

    def _may_come(self, connection: Connection) -> bool:
        """Tell whether whoever connects may shake hands; strangers are counted as such."""
        if self._protocol.nas_table.may_come_by_tls(connection.source[0]):
            return True
        self._turn_away(unknown_address, connection.source, connection.port)
        return False

    # --- judging ------------------------------------------------------------------------------------

    def _judge(self, arrival: Arrival, now: datetime, began: float, is_serving: bool) -> Waiting | None:
        """Return what is to be decided; None for what was answered or dropped."""
        datagram, door = arrival.datagram, arrival.door
        if isinstance(door, Connection) and door.distrusted_for:
            self._drop(door.distrusted_for, arrival.nas.name, datagram.source[0])
            return None
        key = arrival.descriptor if isinstance(door, Listener) else door
        received = self._protocol.receive(
            datagram.octets, datagram.source, arrival.port, key, now, began, arrival.nas
        )
        if isinstance(received, Received):
            self._tally["requests", received.nas.name, KINDS[received.frame.code]] += 1
            if suspicion := self._suspicions.of(received, now):
                self._rare_lines.note(received.nas.name, datagram.source[0], suspicion, began)
            return Waiting(received, door, datagram, arrival.at)
        if (
            isinstance(received, Dropped)
            and isinstance(door, Connection)
            and ends_connection(received.reason)
        ):
            door.distrust(received.reason)
        self._settle(received, arrival, is_serving)
        return None

    def _settle(
        self, received: Dropped | Resent | Ping | Challenged, arrival: Arrival, is_serving: bool
    ) -> None:
        """Answer what needs no transaction, or count what gets no answer."""
        name, source = arrival.nas.name, arrival.datagram.source[0]
        match received:
            case Dropped():
                self._drop(received.reason, name, source)
                return
            case Resent():
                self._tally["requests", name, KINDS[received.code]] += 1
                self._tally["duplicates", name, "packet"] += 1
            case Challenged():
                self._tally["requests", name, "access"] += 1
                self._tally["replies", name, Code.ACCESS_CHALLENGE.name.lower()] += 1
            case Ping():
                self._tally["requests", name, "status"] += 1
                if not is_serving:
                    # RFC 5997 section 4.2: silence tells the switch to use its next server.
                    self._drop(DropReason.BACKEND_DOWN, name, source)
                    return
                self._tally["replies", name, Code(received.reply[0]).name.lower()] += 1
                self._metrics.replied("status", clock.monotonic_seconds() - arrival.at)
        arrival.door.send(received.reply, arrival.datagram)

    def _drop(self, reason: DropReason, nas: str, source: str) -> None:
        self._tally["dropped", nas, reason.value] += 1
        self._rare_lines.note(nas, source, reason, clock.monotonic_seconds())
