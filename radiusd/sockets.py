"""UDP sockets that know at which of our addresses a datagram was asked, and answer from there.

RFC 2865 section 3 wants a reply's ports and addresses reversed; on a wildcard address the kernel would
choose the source itself, so it is told (IP_PKTINFO).
"""

import errno
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from radiusd.wire import PACKET_OCTETS_MAX, Port

# Python 3.11 does not name this one (linux/in.h).
_IP_PKTINFO = 8
_IPV4_INFO = struct.Struct("=I4s4s")
_IPV6_INFO = struct.Struct("=16sI")
# Nor these (asm-generic/socket.h); socket(7) tells what they add to a datagram.
_SO_TIMESTAMPNS = 35
_SO_RXQ_OVFL = 40
_TIMESTAMP = struct.Struct("=qq")
_LOST = struct.Struct("=I")
_ANCILLARY_OCTETS = sum(socket.CMSG_SPACE(part.size) for part in (_IPV6_INFO, _TIMESTAMP, _LOST))
_BACKLOG = 1024
_WEB_BACKLOG = 128
_SILENCE_SECONDS = 1
_RECEIVE_BUFFER_OCTETS = 8 * 1024 * 1024

Ancillary = list[tuple[int, int, bytes]]


class PortTakenError(Exception):
    """We can't listen there; the message names address, port and reason."""


class Datagram(NamedTuple):
    """What came in, from where, and what the kernel says beside it."""

    octets: bytes
    source: tuple[str, int]
    peer: tuple[object, ...]
    ancillary: Ancillary

    def notes(self) -> tuple[int, int]:
        """Return when it came, in nanoseconds of the clock, and how many before it found no room.

        0 where the kernel says nothing.
        """
        at_nanoseconds = lost = 0
        for level, kind, data in self.ancillary:
            if level != socket.SOL_SOCKET:
                continue
            if kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESTAMP.unpack(data)
                at_nanoseconds = seconds * 1_000_000_000 + nanoseconds
            elif kind == _SO_RXQ_OVFL:
                (lost,) = _LOST.unpack(data)
        return at_nanoseconds, lost

    def answer_from(self) -> Ancillary:
        """Return what makes the answer leave from the address that was asked."""
        for level, kind, data in self.ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
                # The asked address comes third; as a source it is to stand second (ip(7)).
                _, asked, _ = _IPV4_INFO.unpack(data)
                return [(level, kind, _IPV4_INFO.pack(0, asked, bytes(4)))]
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                return [(level, kind, data)]
        return []


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket of one of the two services, `number` is its UDP port."""

    socket: socket.socket
    port: Port
    number: int

    def receive(self) -> Datagram | None:
        """Return a waiting datagram, or None when there is none."""
        try:
            # What is longer than the longest packet is padding, and may be cut off.
            octets, ancillary, _, peer = self.socket.recvmsg(PACKET_OCTETS_MAX, _ANCILLARY_OCTETS)
        except BlockingIOError:
            return None
        return Datagram(octets, (peer[0], peer[1]), peer, ancillary)

    def send(self, reply: bytes, to: Datagram) -> bool:
        """Send *reply* to where *to* came from; False when the kernel can't."""
        try:
            if answer_from := to.answer_from():
                self.socket.sendmsg([reply], answer_from, 0, to.peer)
            else:
                self.socket.sendto(reply, to.peer)
        except OSError:
            return False
        return True


def probe(address: str, port: int) -> int:
    """Make sure that nobody has the port, and return it (a free one for 0). Raises PortTakenError.

    Without SO_REUSEPORT the kernel refuses a port that any other program has, a second daemon included.
    """
    try:
        with _socket(address) as plain:
            plain.bind((address, port))
            return int(plain.getsockname()[1])
    except OSError as error:
        raise _port_taken(address, port, error) from error


def listener(address: str, port: int, service: Port) -> Listener:
    """Open one socket of the group that shares a port among our workers. Raises PortTakenError."""
    try:
        shared = _socket(address)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_OCTETS)
        shared.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        shared.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        if ip_address(address).is_unspecified:
            # A socket of one address answers from there anyway.
            _tell_asked_address(shared)
        shared.setblocking(False)
        shared.bind((address, port))
    except OSError as error:
        raise _port_taken(address, port, error) from error
    return _listener(shared, service)


def web(address: str, port: int) -> socket.socket:
    """Open the TCP socket of metrics and health, which nobody else may have. Raises PortTakenError."""
    try:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(_WEB_BACKLOG)
    except OSError as error:
        raise PortTakenError(
            f"can't listen on TCP {address} port {port}: {error.strerror}: set another http.listen"
        ) from error
    return opened


def stream(address: str, port: int) -> socket.socket:
    """Open one TCP socket of the group that shares a port among our workers. Raises PortTakenError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        shared = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET6:
            shared.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Connections that ended lately must not keep a restart from its port.
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Clients speak first (RFC 8446 section 2): one that says nothing stays with the kernel for a moment,
        # so that a crowd that only connects can't push out one whose first words are still on the way.
        shared.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _SILENCE_SECONDS)
        shared.setblocking(False)
        shared.bind((address, port))
        # A crowd that connects at once must not fill the queue: whom the kernel drops waits for a second.
        shared.listen(_BACKLOG)
    except OSError as error:
        raise _port_taken(address, port, error, "TCP") from error
    return shared


def inherited(descriptor: int, service: Port) -> Listener:
    """Return a socket that the supervisor opened and handed over."""
    return _listener(socket.socket(fileno=descriptor), service)


def _listener(bound: socket.socket, service: Port) -> Listener:
    return Listener(bound, service, int(bound.getsockname()[1]))


def is_unsupported(error: PortTakenError) -> bool:
    """Tell whether the machine has no such kind of address at all, as IPv6 on some."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _socket(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        # IPv4 has sockets of its own, so that its sources look like IPv4.
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return opened


def _tell_asked_address(opened: socket.socket) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _port_taken(address: str, port: int, error: OSError, kind: str = "UDP") -> PortTakenError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    hints = {
        errno.EADDRINUSE: "is another radiusd running? end it, or set another port",
        errno.EACCES: "ports below 1024 need root: run as root, or set another port",
        errno.EADDRNOTAVAIL: "no interface of this machine has this address",
    }
    hint = hints.get(error.errno or 0, "set another radius.listen")
    return PortTakenError(f"can't listen on {kind} {address} port {port}: {reason}: {hint}")
