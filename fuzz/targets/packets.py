"""Octets as attributes: whatever a fuzzer changes, what comes out is a packet worth looking into.

A length that points past the end is cut to the end, so that one changed octet does not make all the rest
meaningless. What is inside a Vendor-Specific attribute is not mended: the packet's own reader must bear it.
"""

from datetime import UTC, datetime
from ipaddress import ip_network

from radiusd.dialects import DIALECTS
from radiusd.nas import Nas
from radiusd.wire import ATTRIBUTES_MAX

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOURCE = "192.0.2.1"
SECRET = b"0123456789abcdef"
AUTHENTICATOR = bytes(range(16))

# Of a packet of 4096 octets some are the header and a Message-Authenticator.
_OCTETS_MAX = 4000

SWITCHES = tuple(Nas(name, (ip_network(SOURCE),), SECRET, name) for name in DIALECTS)
"""One softswitch of every dialect."""


def attributes_in(octets: bytes) -> list[tuple[int, bytes]]:
    """Return the attributes that *octets* make: number, length of the value, value."""
    found: list[tuple[int, bytes]] = []
    offset, end = 0, min(len(octets), _OCTETS_MAX)
    room = _OCTETS_MAX
    while offset + 1 < end and len(found) < ATTRIBUTES_MAX - 1:
        kind, length = octets[offset] or 1, min(octets[offset + 1], 253)
        value = octets[offset + 2 : min(offset + 2 + length, end)]
        room -= 2 + len(value)
        if room < 0:
            break
        found.append((kind, value))
        offset += 2 + length
    return found


def joined(attributes: list[tuple[int, bytes]]) -> bytes:
    """Return *attributes* as they stand in a packet."""
    return b"".join(bytes((kind, len(value) + 2)) + value for kind, value in attributes)


def storable(text: str) -> None:
    """Assert that a database can store *text*: UTF-8 without NUL."""
    text.encode()
    assert "\0" not in text, f"{text!r} has a NUL, which no database stores"
