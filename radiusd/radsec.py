"""RADIUS over TLS (RFC 6614): connections that give packets and take replies like a socket of datagrams.

Nothing here waits: a worker asks a connection when the kernel says that it has something to say. Whatever is
malformed or not genuine there ends it, for after that nobody knows where a packet begins.
"""

import errno
import ssl
from collections import deque
from socket import socket as Socket  # noqa: N812 - a class with a small letter
from typing import Any

from radiusd.sockets import Datagram
from radiusd.wire import HEADER_OCTETS, PACKET_OCTETS_MAX, Code, DropReason, Port

_HANDSHAKE_SECONDS = 10.0
_IDLE_SECONDS = 900.0
_READ_OCTETS = 16_384
# So much may wait for a turn, of packets and of octets that are none yet; the rest waits at the other end.
_PACKETS_MAX = 256
_TURN_OCTETS = 65_536
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_UNSENT_OCTETS_MAX = 256 * PACKET_OCTETS_MAX


# A genuine packet that gets no answer says nothing against the connection, on which others wait for theirs.
_SPARED = frozenset(
    (
        DropReason.DUPLICATE_INFLIGHT,
        DropReason.MISSING_MANDATORY,
        DropReason.REPLY_TOO_BIG,
        DropReason.STATUS_DISABLED,
    )
)


def identities(certificate: Any) -> tuple[str, ...]:
    """Return the names in what `SSLSocket.getpeercert` tells: DNS names first, then common names."""
    alternatives = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    subject = [pair for parts in certificate.get("subject", ()) for pair in parts]
    return (*alternatives, *(value for kind, value in subject if kind == "commonName"))


def port_of(octets: bytes) -> Port:
    """Return the service a packet is for: one connection carries both."""
    return Port.ACCOUNTING if octets[0] == Code.ACCOUNTING_REQUEST else Port.AUTHENTICATION


def ends_connection(reason: DropReason) -> bool:
    """Tell whether a packet that is dropped for *reason* ends the connection (RFC 6613 section 2.6.4)."""
    return reason not in _SPARED


class Connection:
    """One switch's connection. `names` are those of its certificate, empty until it has shown it."""

    def __init__(self, socket: ssl.SSLSocket, source: tuple[str, int], now: float) -> None:
        """Take over an accepted *socket*, which must not block."""
        self.socket = socket
        self.source = source
        self.names: tuple[str, ...] = ()
        self.is_open = True
        self.heard_at = now
        self.has_spoken = False
        self.distrusted_for: DropReason | None = None
        self._received = bytearray()
        self._packets: deque[bytes] = deque()
        self._unsent = bytearray()

    @property
    def port(self) -> int:
        """Return the port of ours that it came to."""
        return int(self.socket.getsockname()[1])

    @property
    def has_packets(self) -> bool:
        """Tell whether packets wait that the kernel no longer knows of."""
        return bool(self._packets)

    @property
    def has_more(self) -> bool:
        """Tell whether more was read from the kernel than was made into packets."""
        return self.is_open and not self._unsent and bool(self.names) and self.socket.pending() > 0

    @property
    def has_unsent(self) -> bool:
        """Tell whether replies wait for room at the kernel; until they are gone nothing more is read."""
        return bool(self._unsent)

    def advance(self, now: float) -> None:
        """Shake hands or read, a share of a turn at most; what waits to be sent goes out, too."""
        try:
            self._flush()
            if not self.names:
                self.has_spoken = True
                self.socket.do_handshake()
                self.names = identities(self.socket.getpeercert())
                # Nobody can tell whose connection it is without any name.
                self.is_open = bool(self.names)
            read = 0
            while self.is_open and read < _TURN_OCTETS and len(self._packets) < _PACKETS_MAX:
                octets = self.socket.recv(_READ_OCTETS)
                read += len(octets)
                self.is_open = bool(octets) and self._split(octets)
                self.heard_at = now
        except ssl.SSLError as error:
            self.is_open = isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError))
        except OSError:
            self.is_open = False

    def receive(self) -> Datagram | None:
        """Return a packet that has come whole, or None when there is none."""
        if not self._packets:
            return None
        return Datagram(self._packets.popleft(), self.source, self.source, [])

    def send(self, reply: bytes, to: Datagram) -> bool:
        """Send *reply*; False when the connection is gone, or so slow that it must go."""
        self._unsent += reply
        try:
            self._flush()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.is_open = len(self._unsent) <= _UNSENT_OCTETS_MAX
        except OSError:
            self.is_open = False
        return self.is_open

    def is_overdue(self, now: float) -> bool:
        """Tell whether it took too long to show a certificate, or has long been silent."""
        return now - self.heard_at > (_IDLE_SECONDS if self.names else _HANDSHAKE_SECONDS)

    def distrust(self, reason: DropReason) -> None:
        """Take nothing more, for *reason*; what was taken behind that packet is not to be decided either."""
        self.distrusted_for = reason
        self.hang_up()

    def hang_up(self) -> None:
        """Take nothing more of what has come."""
        self.is_open = False
        self._packets.clear()

    def close(self) -> None:
        """End the connection."""
        self.is_open = False
        self.socket.close()

    def _flush(self) -> None:
        while self._unsent:
            sent = self.socket.send(self._unsent)
            del self._unsent[:sent]

    def _split(self, octets: bytes) -> bool:
        """Take whole packets out of what has come; False when no packet can begin like that."""
        self._received += octets
        while len(self._received) >= 4:
            length = int.from_bytes(self._received[2:4])
            if not HEADER_OCTETS <= length <= PACKET_OCTETS_MAX:
                return False
            if len(self._received) < length:
                break
            self._packets.append(bytes(self._received[:length]))
            del self._received[:length]
        return True


class Acceptor:
    """A TCP socket that takes new connections, up to a limit."""

    def __init__(self, socket: Socket, context: ssl.SSLContext) -> None:
        """Take connections from a listening *socket*, which must not block."""
        self.socket = socket
        self._context = context

    def accept(self, now: float) -> Connection | None:
        """Return a new connection, which has still to shake hands; None when there is none.

        Raises OSError where the machine has no room for another.
        """
        try:
            accepted, peer = self.socket.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            return None
        accepted.setblocking(False)
        try:
            wrapped = self._context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        except OSError:  # It is gone already.
            accepted.close()
            return None
        return Connection(wrapped, (peer[0], peer[1]), now)
