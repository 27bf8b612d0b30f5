"""The Class attribute of an Accept: a signed name of the leg, which the switch hands back in accounting.

RFC 2865 section 5.25 makes it opaque to the switch. It is text, since some switches hand back nothing else:
in 32 characters of Base64 the leg's key, its generation and a signature with the NAS's own key, so that no
other switch can name the leg. Calls that began under the version before name no generation, in plain octets.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable

from billing_core.session import LegId
from radiusd.nas import Nas

_VERSION, _VERSION_BEFORE = b"L2", b"L1"
_KEY_OCTETS = 16
_GENERATION_OCTETS = 3
_SIGNATURE_OCTETS, _SIGNATURE_OCTETS_BEFORE = 5, 8
# Of 24 octets: Base64 needs no padding.
_CHARACTERS = 32


def class_of(leg: LegId, nas: Nas) -> bytes:
    """Return the Class that names the leg."""
    key, generation = leg
    named = key + generation.to_bytes(_GENERATION_OCTETS)
    return urlsafe_b64encode(named + _signature(_VERSION + named, nas)[:_SIGNATURE_OCTETS])


def linked_leg(classes: Iterable[bytes], nas: Nas) -> tuple[bytes, int | None] | None:
    """Return the leg named by the first of *classes* that we signed; others are ignored."""
    return next((leg for value in classes if (leg := _verified(value, nas)) is not None), None)


def _verified(value: bytes, nas: Nas) -> tuple[bytes, int | None] | None:
    if len(value) != _CHARACTERS:
        return _of_before(value, nas)
    try:
        octets = urlsafe_b64decode(value)
    except (Base64Error, ValueError):
        return None
    named, signature = octets[:-_SIGNATURE_OCTETS], octets[-_SIGNATURE_OCTETS:]
    genuine = _signature(_VERSION + named, nas)[:_SIGNATURE_OCTETS]
    if not hmac.compare_digest(signature, genuine) or len(named) != _KEY_OCTETS + _GENERATION_OCTETS:
        return None
    return named[:_KEY_OCTETS], int.from_bytes(named[_KEY_OCTETS:])


def _of_before(value: bytes, nas: Nas) -> tuple[bytes, None] | None:
    named, signature = value[:-_SIGNATURE_OCTETS_BEFORE], value[-_SIGNATURE_OCTETS_BEFORE:]
    genuine = _signature(named, nas)[:_SIGNATURE_OCTETS_BEFORE]
    is_ours = named.startswith(_VERSION_BEFORE) and hmac.compare_digest(signature, genuine)
    key = named[len(_VERSION_BEFORE) :]
    return (key, None) if is_ours and len(key) == _KEY_OCTETS else None


def _signature(named: bytes, nas: Nas) -> bytes:
    return hmac.digest(nas.signing_key, named, "sha256")
