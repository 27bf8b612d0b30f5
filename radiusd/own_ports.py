"""Ports of one softswitch alone: whatever others send, its packets wait in no queue but its own."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from billing_core.settings import Document, Fault, KeyPath
from radiusd.nas import Nas
from radiusd.wire import Port

KEYS: Final = {"auth_port": Port.AUTHENTICATION, "acct_port": Port.ACCOUNTING}
_SHARED: Final = {"auth_port": 1812, "acct_port": 1813}


def own_ports(softswitches: Iterable[Nas]) -> tuple[tuple[int, Port], ...]:
    """Return every port that a NAS has for itself, with what is served there, in order of the number."""
    found = (
        (number, service)
        for nas in softswitches
        for key, service in KEYS.items()
        if (number := getattr(nas, key)) is not None
    )
    return tuple(sorted(found))


def own_port_faults(document: Document) -> Iterator[Fault]:
    """Name ports that are not one NAS's alone, and NASes that can't come by them."""
    places = list(_places(document))
    taken = Counter(number for _, number in places)
    shared = document.data.get("radius") or {}
    for key, usual in _SHARED.items():
        taken[shared.get(key, usual)] += 1
    for path, number in places:
        if taken[number] > 1:
            yield document.fault(
                path, f"{number} is taken by another key, too; a port has one owner and one use"
            )
    for path, nas in document.tables("nas"):
        for key in KEYS.keys() & nas.keys():
            if "address" not in nas:
                message = "is a UDP port; this NAS has no address, so it comes over TLS only: leave it out"
                yield document.fault((*path, key), message)


def _places(document: Document) -> Iterator[tuple[KeyPath, int]]:
    for path, nas in document.tables("nas"):
        for key in KEYS:
            if isinstance(nas.get(key), int):
                yield (*path, key), nas[key]
