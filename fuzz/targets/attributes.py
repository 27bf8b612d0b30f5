"""The accessors of attributes, by the tables of every dialect: any name may be asked of any packet.

The first octet chooses the tables, the rest is attributes (see `fuzz.targets.packets`).
"""

import json
from ipaddress import ip_address

from fuzz.targets.packets import attributes_in, storable
from radiusd.codec import Attributes, Kind, Tables
from radiusd.dialects import DIALECTS
from radiusd.dialects.reader import tables

_TABLES = tuple(tables(dialect, access=access) for dialect in DIALECTS.values() for access in (True, False))
_NUMBERS = (Kind.INTEGER, Kind.DATE)
_ADDRESSES = {Kind.ADDRESS: 4, Kind.IPV6_ADDRESS: 6}


def check(octets: bytes) -> None:
    """Ask a packet for everything it could hold."""
    sent = attributes_in(octets[1:])
    known = _TABLES[octets[0] % len(_TABLES)] if octets else _TABLES[0]
    attributes = Attributes(sent, known)
    for name in _names_in(sent, known):
        _check_named(attributes, name, known)
    items = list(attributes.items())
    assert len(items) >= len(sent), "an attribute has vanished"
    storable(json.dumps(items))
    for name, value in items:
        storable(name)
        storable(value)


def _names_in(sent: list[tuple[int, bytes]], known: Tables) -> set[str]:
    """Return the names that may be in the packet, a few that may not, and no more, for speed."""
    numbers = {number for _, value in sent for number in value[4:]} | {kind for kind, _ in sent}
    return {name for name, definition in known.by_name.items() if definition.type in numbers}


def _check_named(attributes: Attributes, name: str, known: Tables) -> None:
    raws, texts = attributes.raws(name), attributes.texts(name)
    assert attributes.raw(name) == (raws[0] if raws else None)
    assert attributes.text(name) == (texts[0] if texts else None)
    assert len(texts) <= len(raws)
    for text in texts:
        assert text
        storable(text)
    kind = known.kind_of(name)
    if kind in _NUMBERS:
        number = attributes.integer(name)
        assert number is None or number.to_bytes(4) == raws[0]
    elif kind in _ADDRESSES:
        address = attributes.address(name)
        assert address is None or ip_address(address).packed == raws[0]
