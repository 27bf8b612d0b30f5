"""What stands between a switch and the daemon in a test: it sees every packet, and can lose answers."""

import hashlib
import hmac
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from served import SECRET, Daemon

ACCEPT, REJECT, ACCOUNTING_REQUEST = 2, 3, 4
START, STOP, ALIVE, FAILED = 1, 2, 3, 15

_HEADER = struct.Struct("!BBH16s")
_MESSAGE_AUTHENTICATOR = 80
_STATUS, _DELAY, _SESSION_ID, _SECONDS, _EVENT_TIMESTAMP = 40, 41, 44, 46, 55
_VENDOR_SPECIFIC = 26
_WAIT_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as it went over the wire."""

    octets: bytes

    @property
    def code(self) -> int:
        return self.octets[0]

    @property
    def status(self) -> int | None:
        """Return Acct-Status-Type."""
        return self.number(_STATUS)

    @property
    def session_id(self) -> str:
        return self.text(_SESSION_ID)

    @property
    def session_seconds(self) -> int | None:
        return self.number(_SECONDS)

    @property
    def happened_at(self) -> int | None:
        """Return Event-Timestamp."""
        return self.number(_EVENT_TIMESTAMP)

    @property
    def delay_seconds(self) -> int | None:
        return self.number(_DELAY)

    def values(self, kind: int) -> list[bytes]:
        """Return the values of the attributes with that number."""
        return [value for number, value in _attributes(self.octets[_HEADER.size :]) if number == kind]

    def number(self, kind: int) -> int | None:
        values = self.values(kind)
        return int.from_bytes(values[0], "big") if values else None

    def text(self, kind: int) -> str:
        return b"".join(self.values(kind)[:1]).decode()

    def vendor_texts(self) -> list[str]:
        """Return the texts of all attributes of vendors."""
        return [
            text.decode() for value in self.values(_VENDOR_SPECIFIC) for _, text in _attributes(value[4:])
        ]

    def is_signed_for(self, request: "Packet") -> bool:
        """Tell whether this reply proves itself: libradcli never looks (RFC 2865 section 3, RFC 3579 3.2)."""
        secret, body = SECRET.encode(), self.octets[_HEADER.size :]
        head, asked = self.octets[:4], request.octets[4:20]
        if hashlib.md5(head + asked + body + secret).digest() != self.octets[4:20]:
            return False
        for number, value in _attributes(body):
            if number == _MESSAGE_AUTHENTICATOR:
                blank = body.replace(value, bytes(16), 1)
                return hmac.digest(secret, head + asked + blank, "md5") == value
        return True


@dataclass(slots=True)
class Exchange:
    """A request as the switch sent it, each time it did, and what it was answered."""

    request: Packet
    times: int = 1
    replies: list[Packet] = field(default_factory=list)


class Tap:
    """Passes packets between a switch and the daemon, and remembers them."""

    def __init__(self, daemon: Daemon, address: str) -> None:
        """Pass what comes to the tap's two ports on to *daemon*, which sees it come from *address*."""
        self._daemon = daemon
        self._address = address
        self._selector = selectors.DefaultSelector()
        self._told = threading.Condition()
        self._exchanges: dict[tuple[int, bytes], Exchange] = {}
        self._to_lose: dict[int | None, int] = {}
        self._upstream: dict[tuple[str, int], socket.socket] = {}
        self._done = False
        self.auth_port = self._listen(lambda: daemon.auth_port)
        self.acct_port = self._listen(lambda: daemon.acct_port)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def lose_answers(self, count: int, status: int) -> None:
        """Lose the next *count* answers of the daemon to records of that status."""
        with self._told:
            self._to_lose[status] = count

    def exchanges(self, *, status: int | None = None, call: str = "") -> list[Exchange]:
        """Return the accounting records of that status, of one call; without a status the Access-Requests."""
        with self._told:
            return self._found(status, call)

    def await_answers(self, count: int, *, status: int | None, call: str = "") -> list[Exchange]:
        """Wait until so many such requests were answered, and return them."""
        with self._told:
            done = self._told.wait_for(
                lambda: sum(bool(one.replies) for one in self._found(status, call)) >= count, _WAIT_SECONDS
            )
            found = self._found(status, call)
        assert done, f"{len(found)} of {count} requests came, answered {[len(one.replies) for one in found]}"
        return found

    def close(self) -> None:
        """Pass nothing any more."""
        self._done = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _found(self, status: int | None, call: str) -> list[Exchange]:
        return [
            one
            for one in self._exchanges.values()
            if one.request.status == status and (not call or call in one.request.octets.decode("latin-1"))
        ]

    def _listen(self, target: Callable[[], int]) -> int:
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.bind(("127.0.0.1", 0))

        def pass_on() -> None:
            octets, switch = listening.recvfrom(4096)
            self._remember(octets)
            upstream = self._upstream.get(switch) or self._open(switch, listening)
            upstream.sendto(octets, ("127.0.0.1", target()))

        self._selector.register(listening, selectors.EVENT_READ, pass_on)
        return int(listening.getsockname()[1])

    def _open(self, switch: tuple[str, int], listening: socket.socket) -> socket.socket:
        """Give each port of the switch one of our own, since the daemon tells requests apart by it."""
        upstream = self._upstream[switch] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        upstream.bind((self._address, 0))

        def pass_back() -> None:
            octets = upstream.recv(4096)
            if self._answered(octets):
                listening.sendto(octets, switch)

        self._selector.register(upstream, selectors.EVENT_READ, pass_back)
        return upstream

    def _run(self) -> None:
        while not self._done:
            for key, _ in self._selector.select(0.1):
                key.data()

    def _remember(self, octets: bytes) -> None:
        _, identifier, _, authenticator = _HEADER.unpack_from(octets)
        with self._told:
            known = self._exchanges.get((identifier, authenticator))
            if known is not None:
                known.times += 1
            else:
                self._exchanges[identifier, authenticator] = Exchange(Packet(octets))

    def _answered(self, octets: bytes) -> bool:
        """Remember an answer, and tell whether the switch is to have it."""
        reply = Packet(octets)
        with self._told:
            for one in self._exchanges.values():
                if one.request.octets[1] == octets[1] and reply.is_signed_for(one.request):
                    status = one.request.status
                    if self._to_lose.get(status):
                        self._to_lose[status] -= 1
                        return False
                    one.replies.append(reply)
                    self._told.notify_all()
                    return True
        raise AssertionError("an answer that is not signed for any request")


@contextmanager
def tap(daemon: Daemon, address: str) -> Iterator[Tap]:
    """Run a tap until the end of the block."""
    tapped = Tap(daemon, address)
    try:
        yield tapped
    finally:
        tapped.close()


def _attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while octets:
        yield octets[0], octets[2 : octets[1]]
        octets = octets[octets[1] :]
