"""Everything that packets come in by: UDP sockets, and TLS connections as they come and go."""

import select
from collections.abc import Iterator, Sequence

from radiusd.radsec import CONNECTIONS_MAX, Acceptor, Connection
from radiusd.sockets import Listener

Door = Listener | Connection


class Intake:
    """Waits for packets at all doors of a worker."""

    def __init__(
        self, listeners: Sequence[Listener], acceptors: Sequence[Acceptor], others: Sequence[int]
    ) -> None:
        """Watch these; *others* are descriptors that only wake the worker."""
        self._listeners = {listener.socket.fileno(): listener for listener in listeners}
        self._acceptors = {acceptor.socket.fileno(): acceptor for acceptor in acceptors}
        self._connections: dict[int, Connection] = {}
        self._poll = select.poll()
        for descriptor in (*self._listeners, *self._acceptors, *others):
            self._poll.register(descriptor, select.POLLIN)

    def wait(self, seconds: float) -> list[int]:
        """Return the descriptors that have something, at the latest after *seconds*."""
        if any(connection.has_packets for connection in self._connections.values()):
            seconds = 0
        return [descriptor for descriptor, _ in self._poll.poll(seconds * 1000)]

    def doors(self, ready: Sequence[int], now: float) -> Iterator[tuple[int, Door]]:
        """Yield the doors at which packets wait; new connections are let in, ended ones forgotten."""
        for descriptor in ready:
            if acceptor := self._acceptors.get(descriptor):
                self._let_in(acceptor, now)
        yield from self._advanced(ready, now)
        for descriptor in ready:
            if listener := self._listeners.get(descriptor):
                yield descriptor, listener

    def _advanced(self, ready: Sequence[int], now: float) -> Iterator[tuple[int, Door]]:
        for descriptor, connection in list(self._connections.items()):
            if descriptor in ready:
                connection.advance(now)
            if connection.has_packets:
                yield descriptor, connection
            elif not connection.is_open or connection.is_overdue(now):
                self._forget(descriptor)

    def close(self) -> None:
        """End all connections."""
        for descriptor in list(self._connections):
            self._forget(descriptor)

    def _let_in(self, acceptor: Acceptor, now: float) -> None:
        connection = acceptor.accept(now)
        if connection is None:
            return
        if len(self._connections) >= CONNECTIONS_MAX:
            connection.close()
            return
        descriptor = connection.socket.fileno()
        self._connections[descriptor] = connection
        self._poll.register(descriptor, select.POLLIN)

    def _forget(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        self._connections.pop(descriptor).close()
