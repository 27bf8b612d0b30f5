"""Challenges to callers who prove themselves by Digest: nonces of ours, and what each was used for.

A nonce is a moment, some salt and a signature, so that any worker can tell its age. What it was used for is
known to the worker that took the response: after RFC 2617 section 3.2.2 a response is good for one call.
"""

import hmac
import re
from hashlib import md5
from typing import Final

from radiusd import digest
from radiusd.digest import ALGORITHM, METHOD, NONCE, NONCE_COUNT, QOP, REALM, RESPONSE, STALE, URI, Parts
from radiusd.nas import Nas
from radiusd.wire import Frame

NONCE_SECONDS: Final = 30
"""How long a nonce of ours may be used; a caller answers a challenge at once."""
USES_MAX: Final = 65_536

# Ten digits of the moment and sixteen of salt, and their signature.
_NONCE = re.compile(rb"(([0-9a-f]{10})[0-9a-f]{16})([0-9a-f]{22})")
_MOMENT = slice(0, 10)


class Challenges:
    """Decides which requests call for a challenge.

    Whoever is asked anew answers with a new nonce, unseen by its user: where we are not sure that a response
    is new, that costs a legitimate caller a moment, and one who replays what he overheard his call.
    """

    def __init__(self, uses_max: int = USES_MAX) -> None:
        """Remember at most *uses_max* responses."""
        self._uses_max = uses_max
        self._uses: dict[tuple[bytes, bytes], bytes] = {}
        self._forgotten_until = 0

    def __len__(self) -> int:
        """Return how many responses are remembered."""
        return len(self._uses)

    def attributes(self, frame: Frame, nas: Nas, call: bytes, now_seconds: int) -> bytes | None:
        """Return the attributes of the Access-Challenge that a request calls for; None when for none.

        *call* tells one call from another: a switch may ask again about the same one. Nonces of the switch
        are its own affair (RFC 5090 section 2.1.2).
        """
        parts = digest.parts_of(frame)
        if parts is None:
            return None
        is_stale = self._is_stale(parts, nas.signing_key, call, now_seconds)
        if not is_stale and not _asks(parts):
            return None
        nonce = new_nonce(nas.signing_key, now_seconds, frame.authenticator)
        return challenge_attributes(_realm(parts, nas), nonce, stale=is_stale)

    def _is_stale(self, parts: Parts, key: bytes, call: bytes, now_seconds: int) -> bool:
        """Tell whether a response is to a nonce of ours that is too old, or was used for another call."""
        nonce = parts.get(NONCE, b"")
        age = nonce_age_seconds(nonce, key, now_seconds)
        if age is None:
            return False
        if not 0 <= age <= NONCE_SECONDS or now_seconds - age <= self._forgotten_until <= now_seconds:
            return True
        use = (nonce, parts.get(NONCE_COUNT, b""))
        if use not in self._uses:
            self._make_room(now_seconds)
        return self._uses.setdefault(use, call) != call

    def _make_room(self, now_seconds: int) -> None:
        """Forget uses of nonces that are too old anyway, and the first when there are too many.

        What is forgotten too early must not be believed again, so all nonces as old as that are too old.
        """
        while self._uses:
            first = next(iter(self._uses))
            moment = int(first[0][_MOMENT], 16)
            is_current = 0 <= now_seconds - moment <= NONCE_SECONDS
            if is_current and len(self._uses) < self._uses_max:
                return
            del self._uses[first]
            if is_current:
                self._forgotten_until = moment


def _asks(parts: Parts) -> bool:
    """Tell whether a request has the method and URI of a digest, but no response yet."""
    return METHOD in parts and URI in parts and RESPONSE not in parts and NONCE not in parts


def _realm(parts: Parts, nas: Nas) -> bytes:
    """Return the realm that was named, else the host that the caller asked, if the NAS may have it."""
    realm = parts.get(REALM) or _host(parts.get(URI, b""))
    return realm if nas.allows_realm(realm) else nas.realms[0].encode()


def _host(uri: bytes) -> bytes:
    """Return the host of `sip:number@host;parameters`, or a word when there is none."""
    host = uri.partition(b":")[2].rpartition(b"@")[2].partition(b";")[0]
    return host[:200] or b"radiusd"


def challenge_attributes(realm: bytes, nonce: bytes, *, stale: bool) -> bytes:
    """Return the attributes of an Access-Challenge (RFC 5090 section 2.2)."""
    parts = [(NONCE, nonce), (REALM, realm), (QOP, b"auth"), (ALGORITHM, b"MD5")]
    if stale:
        parts.append((STALE, b"true"))
    return b"".join(digest.attribute(kind, value) for kind, value in parts)


def new_nonce(key: bytes, now_seconds: int, salt: bytes) -> bytes:
    """Return a nonce made at *now_seconds* of the Unix clock, of which *salt* is the only one."""
    signed = f"{now_seconds:010x}".encode() + md5(salt).hexdigest()[:16].encode()
    return signed + _signature(key, signed)


def nonce_age_seconds(nonce: bytes, key: bytes, now_seconds: int) -> int | None:
    """Return the age of a nonce; None when it is not one of ours."""
    parts = _NONCE.fullmatch(nonce)
    if parts is None or not hmac.compare_digest(parts[3], _signature(key, parts[1])):
        return None
    return now_seconds - int(parts[2], 16)


def _signature(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, b"nonce" + signed, "sha256")[:11].hex().encode()
