"""The Class attribute of an Accept: a signed name of the leg, which the switch hands back in accounting.

RFC 2865 section 5.25 makes it opaque to the switch. It is 26 octets: a version, the leg's key, and a
signature with the NAS's own key, so that no other switch can name the leg.
"""

import hmac
from collections.abc import Iterable

from radiusd.nas import Nas

_VERSION = b"L1"
_KEY_OCTETS = 16
_SIGNATURE_OCTETS = 8


def class_of(leg_key: bytes, nas: Nas) -> bytes:
    """Return the Class that names the leg."""
    return _VERSION + leg_key + _signature(leg_key, nas)


def linked_leg(classes: Iterable[bytes], nas: Nas) -> tuple[bytes, ...]:
    """Return the legs named by those of *classes* that we signed; others are ignored, whoever made them."""
    return tuple(key for value in classes if (key := _verified(value, nas)) is not None)


def _verified(value: bytes, nas: Nas) -> bytes | None:
    key = value[len(_VERSION) : len(_VERSION) + _KEY_OCTETS]
    genuine = hmac.compare_digest(value, class_of(key, nas))
    return key if genuine and len(key) == _KEY_OCTETS else None


def _signature(leg_key: bytes, nas: Nas) -> bytes:
    return hmac.digest(nas.signing_key, _VERSION + leg_key, "sha256")[:_SIGNATURE_OCTETS]
