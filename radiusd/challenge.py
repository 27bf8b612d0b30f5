"""Challenges to callers who prove themselves by Digest: nonces of ours, and what tells responses apart.

A nonce is a moment, some salt and a signature, so that any worker can tell its age. What a response has
served is kept where calls are decided on: after RFC 2617 section 3.2.2 it is good for one.
"""

import hmac
import re
from hashlib import md5, sha256
from typing import Final

from radiusd import digest
from radiusd.digest import ALGORITHM, METHOD, NONCE, NONCE_COUNT, QOP, REALM, RESPONSE, STALE, URI, Parts
from radiusd.nas import Nas

NONCE_SECONDS: Final = 30
"""How long a nonce of ours may be used; a caller answers a challenge at once."""

# Ten digits of the moment and sixteen of salt, and their signature.
_NONCE = re.compile(rb"(([0-9a-f]{10})[0-9a-f]{16})([0-9a-f]{22})")


def called_for(parts: Parts, nas: Nas, salt: bytes, now_seconds: int) -> bytes | None:
    """Return the attributes of the Access-Challenge that a digest calls for; None when for none.

    Nonces of the switch are its own affair (RFC 5090 section 2.1.2).
    """
    age = nonce_age_seconds(parts.get(NONCE, b""), nas.signing_key, now_seconds)
    if age is not None and not 0 <= age <= NONCE_SECONDS:
        return anew(parts, nas, salt, now_seconds)
    return _attributes(parts, nas, salt, now_seconds) if _asks(parts) else None


def anew(parts: Parts, nas: Nas, salt: bytes, now_seconds: int) -> bytes:
    """Return the attributes of the Access-Challenge to a response that is right, but comes too late or again.

    Whoever knows the password answers it unseen by its user; whoever repeats what he overheard does not.
    """
    return _attributes(parts, nas, salt, now_seconds) + digest.attribute(STALE, b"true")


def proof_use(parts: Parts, nas: Nas, now_seconds: int) -> bytes:
    """Return what is used up by a response to a nonce of ours, 16 octets; empty for any other digest.

    It is the nonce and its count, which without qop no response covers (RFC 2617 section 3.2.2.1).
    """
    nonce = parts.get(NONCE, b"")
    if RESPONSE not in parts or nonce_age_seconds(nonce, nas.signing_key, now_seconds) is None:
        return b""
    count = parts.get(NONCE_COUNT, b"") if parts.get(QOP) else b""
    return sha256(nonce + count).digest()[:16]


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


def _attributes(parts: Parts, nas: Nas, salt: bytes, now_seconds: int) -> bytes:
    """Return the attributes of an Access-Challenge (RFC 5090 section 2.2), which names one algorithm."""
    algorithm = nas.digest_algorithms[0].encode()
    nonce = new_nonce(nas.signing_key, now_seconds, salt)
    told = ((NONCE, nonce), (REALM, _realm(parts, nas)), (QOP, b"auth"), (ALGORITHM, algorithm))
    return b"".join(digest.attribute(kind, value) for kind, value in told)


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
