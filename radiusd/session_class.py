"""The Class attribute of an Accept: a signed name of the leg, which the switch hands back in accounting.

RFC 2865 section 5.25 makes it opaque to the switch. It is text, since some switches hand back nothing else: a
version, and in Base64 the leg's key, its generation and a signature with the NAS's own key, so that no other
switch can name the leg. Calls that began under the version before name no generation, in plain octets.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
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
    named = key + generation.to_bytes(_GENERATION_OCTETS)
    # 28 octets: two characters of padding, which say nothing.
    return _VERSION + urlsafe_b64encode(named + _signature(_VERSION + named, nas)).rstrip(b"=")


def linked_leg(classes: Iterable[bytes], nas: Nas) -> tuple[bytes, int | None] | None:
    """Return the leg named by the first of *classes* that we signed; others are ignored."""
    return next((leg for value in classes if (leg := _verified(value, nas)) is not None), None)


def _verified(value: bytes, nas: Nas) -> tuple[bytes, int | None] | None:
    version, told = value[:2], value[2:]
    try:
        octets = urlsafe_b64decode(told + b"==") if version == _VERSION else told
    except (Base64Error, ValueError):
        return None
    named, signature = octets[:-_SIGNATURE_OCTETS], octets[-_SIGNATURE_OCTETS:]
    if not hmac.compare_digest(signature, _signature(version + named, nas)):
        return None
    key, generation = named[:_KEY_OCTETS], named[_KEY_OCTETS:]
    match version, len(key), len(generation):
        case (b"L2", 16, 4):
            return key, int.from_bytes(generation)
        case (b"L1", 16, 0):
            return key, None
    return None


def _signature(named: bytes, nas: Nas) -> bytes:
    return hmac.digest(nas.signing_key, named, "sha256")[:_SIGNATURE_OCTETS]
