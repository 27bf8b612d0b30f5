"""One question to a RADIUS server and its answer: what a switch does, for `radiusd call` and `status`."""

import secrets
import socket
from dataclasses import dataclass

from radiusd import wire
from radiusd.codec import Attributes
from radiusd.wire import Code, DropReason

_TIMEOUT_SECONDS = 2.0
_ATTEMPTS = 3


class NoAnswerError(Exception):
    """Nobody answered; the message says whom we asked and what may be wrong."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A genuine reply."""

    code: Code
    attributes: Attributes


def ask(
    address: tuple[str, int],
    code: Code,
    attributes: bytes,
    secret: bytes,
    *,
    authenticator: bytes | None = None,
) -> Answer:
    """Send a request, again when need be, and return the genuine reply. Raises NoAnswerError."""
    identifier = secrets.randbelow(256)
    packet = wire.request(
        code, identifier, attributes, secret, authenticator=authenticator, message_authenticator=True
    )
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.settimeout(_TIMEOUT_SECONDS)
        opened.connect(address)
        for _ in range(_ATTEMPTS):
            try:
                opened.send(packet)
                octets = opened.recv(wire.PACKET_OCTETS_MAX)
            except (TimeoutError, ConnectionRefusedError):
                continue
            frame = wire.parse_reply(octets)
            is_ours = not isinstance(frame, DropReason) and frame.identifier == identifier
            if is_ours and wire.verify_reply(octets, packet[4:20], secret):
                assert not isinstance(frame, DropReason)
                return Answer(frame.code, Attributes(frame.attributes))
    raise NoAnswerError(
        f"no answer from {address[0]} port {address[1]} to {_ATTEMPTS} requests:"
        " is radiusd running there, and is the secret of this NAS right?"
    )
