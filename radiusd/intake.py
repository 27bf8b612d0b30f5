"""Everything that packets come in by: UDP sockets, and TLS connections as they come and go."""

import select
from collections.abc import Callable, Iterator, Sequence

import structlog

from radiusd.connections import giving_way
from radiusd.radsec import Acceptor, Connection
from radiusd.sockets import Listener

Door = Listener | Connection

_ACCEPTED_MAX = 8
"""So many are let in a turn: fewer than one address may have, so that each gets a turn to speak."""
_REST_SECONDS = 1.0
_NO_ROOM = "raise the limit of open files, or give the machine memory: it is tried each second"

log = structlog.get_logger()


class Intake:
    """Waits for packets at all doors of a worker."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        acceptors: Sequence[Acceptor],
        others: Sequence[int],
        may_come: Callable[[Connection], bool] = lambda connection: True,
    ) -> None:
        """Watch these; *others* are descriptors that only wake the worker.

        *may_come* tells of a new connection whether it may shake hands at all.
        """
        self._may_come = may_come
        self._listeners = {listener.socket.fileno(): listener for listener in listeners}
        self._acceptors = {acceptor.socket.fileno(): acceptor for acceptor in acceptors}
        self._connections: dict[int, Connection] = {}
        self._has_no_room = False
        self._rests_until = 0.0
        self._poll = select.poll()
        for descriptor in (*self._listeners, *self._acceptors, *others):
            self._poll.register(descriptor, select.POLLIN)

    def wait(self, seconds: float) -> list[int]:
        """Return the descriptors that have something, at the latest after *seconds*."""
        for descriptor, connection in self._connections.items():
            if connection.has_packets or connection.has_more:
                seconds = 0
            # One that does not take its replies is not read, so what it sends must not wake the worker.
            self._poll.modify(descriptor, select.POLLOUT if connection.has_unsent else select.POLLIN)
        return [descriptor for descriptor, _ in self._poll.poll(seconds * 1000)]

    def doors(self, ready: Sequence[int], now: float) -> Iterator[tuple[int, Door]]:
        """Yield the doors at which packets wait; new connections are let in, ended ones forgotten."""
        if self._rests_until and now >= self._rests_until:
            self._rests_until = 0.0
            for descriptor in self._acceptors:
                self._poll.modify(descriptor, select.POLLIN)
        yield from self._advanced(ready, now)
        # After that: who has just said something must not give way to a crowd that says nothing.
        for descriptor in ready:
            if acceptor := self._acceptors.get(descriptor):
                self._let_in(acceptor, now)
        for descriptor in ready:
            if listener := self._listeners.get(descriptor):
                yield descriptor, listener

    def _advanced(self, ready: Sequence[int], now: float) -> Iterator[tuple[int, Door]]:
        for descriptor, connection in list(self._connections.items()):
            if descriptor in ready or connection.has_more:
                self._advance(connection, now)
            if self._connections.get(descriptor) is not connection:
                continue  # It has just given way.
            if connection.has_packets:
                yield descriptor, connection
            elif not connection.is_open or connection.is_overdue(now):
                self._forget(descriptor)

    def close(self) -> None:
        """End all connections."""
        for descriptor in list(self._connections):
            self._forget(descriptor)

    def _let_in(self, acceptor: Acceptor, now: float) -> None:
        """Take what waits, a few at a time; strangers' addresses are turned away before any handshake."""
        for _ in range(_ACCEPTED_MAX):
            try:
                connection = acceptor.accept(now)
            except OSError as error:
                self._rest(now, str(error))
                return
            self._has_no_room = False
            if connection is None:
                return
            if not self._may_come(connection):
                connection.close()
                continue
            descriptor = connection.socket.fileno()
            self._connections[descriptor] = connection
            self._poll.register(descriptor, select.POLLIN)
            self._make_room()

    def _rest(self, now: float, reason: str) -> None:
        """Leave connections with the kernel for a moment; else they would wake us all the time."""
        if not self._has_no_room:
            log.error("connection_not_accepted", reason=reason, cure=_NO_ROOM)
        self._has_no_room = True
        self._rests_until = now + _REST_SECONDS
        for descriptor in self._acceptors:
            self._poll.modify(descriptor, 0)

    def _advance(self, connection: Connection, now: float) -> None:
        was_unknown = not connection.names
        connection.advance(now)
        if was_unknown and connection.names:
            self._make_room()

    def _make_room(self) -> None:
        """End the connection that must give way, if one must."""
        if loser := giving_way(self._connections.values()):
            loser.hang_up()
            self._forget(loser.socket.fileno())

    def _forget(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        self._connections.pop(descriptor).close()
