"""A softswitch to test with: it asks over UDP, checks that the answer is genuine, and shows its octets."""

import secrets
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from types import TracebackType
from typing import Self

from radiusd import wire
from radiusd.codec import Attributes, encode
from radiusd.credentials import hide_password
from radiusd.wire import Code, DropReason

SECRET = "a-secret-of-these-tests"
PATIENCE_SECONDS = 5.0
SILENCE_SECONDS = 0.3
START, STOP, INTERIM, ON, OFF, FAILED = 1, 2, 3, 7, 8, 15


@dataclass(frozen=True, slots=True)
class Answer:
    """A genuine reply and where it came from."""

    code: Code
    octets: bytes
    sent: tuple[tuple[int, bytes], ...]
    source: tuple[str, int]
    attributes: Attributes = field(repr=False)

    @property
    def accepted(self) -> bool:
        return self.code is Code.ACCESS_ACCEPT

    @property
    def return_code(self) -> str | None:
        return self.attributes.text("h323-return-code")

    @property
    def message(self) -> str | None:
        return self.attributes.text("Reply-Message")

    @property
    def seconds(self) -> int | None:
        return self.attributes.integer("Session-Timeout")

    @property
    def classes(self) -> bytes:
        """The Class attributes as accounting hands them back."""
        return b"".join(encode("Class", value) for value in self.attributes.raws("Class"))


class Switch:
    """One UDP socket of a softswitch; each has a port of its own, as the daemon sees it."""

    def __init__(
        self,
        auth_port: int,
        acct_port: int,
        *,
        address: str = "127.0.0.1",
        server: str = "127.0.0.1",
        secret: str = SECRET,
    ) -> None:
        self.ports = {Code.ACCESS_REQUEST: auth_port, Code.ACCOUNTING_REQUEST: acct_port}
        self.server = server
        self.secret = secret.encode()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self._identifier = secrets.randbelow(256)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def identifier(self) -> int:
        """Return the next Identifier."""
        self._identifier = (self._identifier + 1) % 256
        return self._identifier

    def send(self, octets: bytes, port: int | None = None) -> None:
        """Send any octets: to the port where such a packet belongs, unless another is named."""
        default = Code.ACCOUNTING_REQUEST if octets[:1] == b"\4" else Code.ACCESS_REQUEST
        self.socket.sendto(octets, (self.server, port or self.ports[default]))

    def receive(self, seconds: float = PATIENCE_SECONDS) -> tuple[bytes, tuple[str, int]] | None:
        """Return the next datagram and its source; None when nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            octets, peer = self.socket.recvfrom(65_536)
        except TimeoutError:
            return None
        return octets, (peer[0], peer[1])

    def answer(self, packet: bytes, seconds: float = PATIENCE_SECONDS) -> Answer | None:
        """Wait for the answer to *packet*, passing over answers to others; it must be genuine."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            received = self.receive(left)
            if received is not None and received[0][1] == packet[1]:
                return self._genuine(packet, *received)
        return None

    def _genuine(self, packet: bytes, octets: bytes, source: tuple[str, int]) -> Answer:
        frame = wire.parse_reply(octets)
        assert not isinstance(frame, DropReason), f"a malformed reply, {frame}: {octets.hex()}"
        assert wire.verify_reply(octets, packet[4:20], self.secret), f"a forged reply: {octets.hex()}"
        return Answer(frame.code, octets, frame.attributes, source, Attributes(frame.attributes))

    def answers(self, packets: Collection[bytes], seconds: float = PATIENCE_SECONDS) -> dict[bytes, Answer]:
        """Wait for the answers to *packets*, in any order, until there are no more; each must be genuine."""
        waiting = {packet[1]: packet for packet in packets}
        assert len(waiting) == len(packets), "two packets with one Identifier can't be told apart"
        found: dict[bytes, Answer] = {}
        while len(found) < len(packets) and (received := self.receive(seconds)):
            packet = waiting[received[0][1]]
            found[packet] = self._genuine(packet, *received)
        return found

    def ask(self, packet: bytes, port: int | None = None, seconds: float = PATIENCE_SECONDS) -> Answer:
        """Send *packet* once and return its answer, which must come."""
        self.send(packet, port)
        answer = self.answer(packet, seconds)
        assert answer is not None, f"no answer within {seconds} s to {packet.hex()}"
        return answer

    def gets_no_answer(
        self, packet: bytes, port: int | None = None, seconds: float = SILENCE_SECONDS
    ) -> bool:
        """Send *packet* and tell whether it stays without an answer."""
        self.send(packet, port)
        return self.receive(seconds) is None

    def insist(self, packet: bytes, seconds: float = 20.0) -> Answer:
        """Send *packet* again and again until it is answered, as a switch does with a record."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.send(packet)
            if answer := self.answer(packet, 0.4):
                return answer
        raise AssertionError(f"no answer within {seconds} s to a packet that was sent many times")

    def access(
        self,
        *attributes: bytes,
        user: str | None = "alice",
        password: str | None = "secret",
        called: str | None = "442071234567",
        call: str = "",
        chap: bool = False,
        signed: bool = True,
        identifier: int | None = None,
    ) -> bytes:
        """Return an Access-Request; *call* names the call, *attributes* are added."""
        authenticator = secrets.token_bytes(16)
        parts = [encode("User-Name", user)] if user else []
        if password is not None and chap:
            number = secrets.token_bytes(1)
            response = md5(number + password.encode() + authenticator).digest()
            parts.append(encode("CHAP-Password", number + response))
        elif password is not None:
            parts.append(encode("User-Password", hide_password(password, authenticator, self.secret)))
        parts += [encode("Called-Station-Id", called)] if called else []
        parts += [conf_id(call), encode("Acct-Session-Id", f"session {call}")] if call else []
        return wire.request(
            Code.ACCESS_REQUEST,
            self.identifier() if identifier is None else identifier,
            b"".join((*parts, *attributes)),
            self.secret,
            authenticator=authenticator,
            message_authenticator=signed,
        )

    def record(
        self,
        kind: int,
        call: str,
        *attributes: bytes,
        user: str | None = "alice",
        called: str = "442071234567",
        seconds: int | None = None,
        at: datetime | None = None,
        session: str | None = None,
    ) -> bytes:
        """Return an Accounting-Request about the origination of *call*."""
        parts = [
            encode("Acct-Status-Type", kind),
            encode("Acct-Session-Id", session or f"session {call}"),
            encode("Called-Station-Id", called),
            conf_id(call),
        ]
        parts += [encode("User-Name", user)] if user else []
        parts += [] if seconds is None else [encode("Acct-Session-Time", seconds)]
        parts += [] if at is None else [encode("Event-Timestamp", int(at.timestamp()))]
        return self.accounting(*parts, *attributes)

    def accounting(self, *attributes: bytes, identifier: int | None = None) -> bytes:
        """Return an Accounting-Request of any *attributes*, well signed."""
        number = self.identifier() if identifier is None else identifier
        return wire.request(Code.ACCOUNTING_REQUEST, number, b"".join(attributes), self.secret)

    def status(self) -> bytes:
        """Return a Status-Server."""
        return wire.request(Code.STATUS_SERVER, self.identifier(), b"", self.secret)

    def is_alive(self) -> bool:
        """Ping both services."""
        pings = [(self.status(), port) for port in self.ports.values()]
        return all(self.ask(packet, port) is not None for packet, port in pings)


def conf_id(call: str) -> bytes:
    """Return the attribute that names a call."""
    return encode("h323-conf-id", f"h323-conf-id={call}")


def new_call() -> str:
    """Return the id of a call that nobody else has."""
    return secrets.token_hex(16)


def raw(kind: int, value: bytes) -> bytes:
    """Return an attribute of any number and value."""
    return bytes((kind, len(value) + 2)) + value


def packet(code: int, attributes: bytes = b"", *, length: int | None = None, identifier: int = 7) -> bytes:
    """Return a packet as anyone can make it, without the secret; *length* is what its header claims."""
    claimed = 20 + len(attributes) if length is None else length
    return bytes((code, identifier)) + claimed.to_bytes(2) + bytes(range(16)) + attributes


def now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)
