"""The Class attribute of an Accept: a signed name of the leg, which the switch hands back in accounting.

RFC 2865 section 5.25 makes it opaque to the switch. It is 30 octets: a version, the leg's key and generation,
and a signature with the NAS's own key, so that no other switch can name the leg. Calls that began under the
version before name no generation.
"""

import hmac
from collections.abc import Iterable

from billing_core.session import LegId
from radiusd.nas import Nas

_VERSION = b"L2"
_KEY_OCTETS = 16
_GENERATION_OCTETS = 4
_SIGNATURE_OCTETS = 8


def class_of(leg: LegId, nas: Nas) -> bytes:
    """Return the Class that names the leg."""
    key, generation = leg
    return _signed(_VERSION + key + generation.to_bytes(_GENERATION_OCTETS), nas)


def linked_leg(classes: Iterable[bytes], nas: Nas) -> tuple[bytes, int | None] | None:
    """Return the leg named by the first of *classes* that we signed; others are ignored."""
    return next((leg for value in classes if (leg := _verified(value, nas)) is not None), None)


def _verified(value: bytes, nas: Nas) -> tuple[bytes, int | None] | None:
    named = value[:-_SIGNATURE_OCTETS]
    if not hmac.compare_digest(value, _signed(named, nas)):
        return None
    key, generation = named[2 : 2 + _KEY_OCTETS], named[2 + _KEY_OCTETS :]
    match named[:2], len(key), len(generation):
        case (b"L2", 16, 4):
            return key, int.from_bytes(generation)
        case (b"L1", 16, 0):
            return key, None
    return None


def _signed(named: bytes, nas: Nas) -> bytes:
    return named + hmac.digest(nas.signing_key, named, "sha256")[:_SIGNATURE_OCTETS]
