"""HTTP Digest, as SIP proxies forward it: RFC 5090, and the draft before it that many still speak.

The older form packs the parts into sub-attributes of Digest-Attributes (207). Numbers, not names, are read
here: in accounting some switches use the same numbers for other things.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from billing_core.visible import visible
from radiusd.wire import Frame

RESPONSE: Final = 103
REALM: Final = 104
NONCE: Final = 105
RESPONSE_AUTH: Final = 106
METHOD: Final = 108
URI: Final = 109
QOP: Final = 110
ALGORITHM: Final = 111
BODY_HASH: Final = 112
CNONCE: Final = 113
NONCE_COUNT: Final = 114
USER_NAME: Final = 115
STALE: Final = 120

# Digest-Opaque, Digest-Auth-Param and Digest-AKA-Auts go with a response, and are not needed to check it.
_BESIDE_RESPONSE = frozenset((116, 117, 118))

_DRAFT_RESPONSE: Final = 206
_DRAFT_ATTRIBUTES: Final = 207
# The draft's sub-attributes, in the order of their numbers from 1.
_DRAFT_PARTS = (REALM, NONCE, METHOD, URI, QOP, ALGORITHM, BODY_HASH, CNONCE, NONCE_COUNT, USER_NAME)
_PARTS = frozenset((RESPONSE, *_DRAFT_PARTS))
_NUMBERS = _PARTS | {_DRAFT_RESPONSE, _DRAFT_ATTRIBUTES}

_NEEDED = (REALM, NONCE, METHOD, URI, USER_NAME)
_NEEDED_WITH_QOP = (CNONCE, NONCE_COUNT)
_QOPS = ("", "auth", "auth-int")
# As the libraries of this machine call them; not every build has the last one.
_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
ALGORITHMS: Final = tuple(name for name, hash in _HASHES.items() if hash in hashlib.algorithms_available)
"""The algorithms that are checked (RFC 7616, for SIP RFC 8760), each with its -sess."""

_SESS = "-sess"
# Words that are tokens, and which some write in quotes.
_WORDS = (QOP, ALGORITHM)
_TOLD_MAX = 40

Parts = Mapping[int, bytes]
"""The parts of a digest by their numbers in RFC 5090."""


@dataclass(frozen=True, slots=True)
class DigestCredential:
    """A response to a challenge, which only the password yields (RFC 7616 section 3.4)."""

    parts: Parts

    def proves(self, password: str) -> bool:
        """Tell whether *password* yields the response."""
        method_and_uri = self.parts[METHOD] + b":" + self.parts[URI]
        response = self.parts[RESPONSE].strip(b'"').lower()
        # A qop in capitals was hashed as it was sent, or as the challenge wrote it.
        qops = {self._qop, self._qop.lower()}
        proofs = [
            hmac.compare_digest(self._digest(password, method_and_uri, qop), response) for qop in sorted(qops)
        ]
        return any(proofs)

    def response_auth(self, password: str) -> bytes | None:
        """Return the proof that we know the password, too; None unless the caller wants one.

        With `auth-int` it would cover the body of a reply that we do not see.
        """
        if self._qop.lower() != b"auth":
            return None
        return self._digest(password, b":" + self.parts[URI], self._qop)

    @property
    def _qop(self) -> bytes:
        return self.parts.get(QOP, b"")

    def _digest(self, password: str, subject: bytes, qop: bytes) -> bytes:
        parts = self.parts
        name, is_of_session = _algorithm(parts)
        secret = _hash(name, parts[USER_NAME], parts[REALM], password.encode())
        if is_of_session:
            secret = _hash(name, secret, parts[NONCE], parts[CNONCE])
        if qop.lower() == b"auth-int":
            subject += b":" + parts[BODY_HASH]
        hashed = _hash(name, subject)
        if not qop:
            return _hash(name, secret, parts[NONCE], hashed)
        return _hash(name, secret, parts[NONCE], parts[NONCE_COUNT], parts[CNONCE], qop, hashed)


def _hash(algorithm: str, *parts: bytes) -> bytes:
    return hashlib.new(_HASHES[algorithm], b":".join(parts)).hexdigest().encode()


def _algorithm(parts: Parts) -> tuple[str, bool]:
    """Return the algorithm and whether it is of a session; without one it is MD5 (RFC 7616 section 3.3).

    The case of letters means nothing (RFC 3261 section 7.3.1).
    """
    written = _word(parts, ALGORITHM) or "MD5"
    is_of_session = written.lower().endswith(_SESS)
    name = written[: -len(_SESS)] if is_of_session else written
    return name.upper(), is_of_session


def _word(parts: Parts, kind: int) -> str:
    return parts.get(kind, b"").decode("utf-8", "backslashreplace")


def unsupported(parts: Parts, algorithms: Iterable[str]) -> str:
    """Say which algorithm or qop of a response is not checked here or not taken; empty where each is.

    *algorithms* are those that its NAS takes.
    """
    if RESPONSE not in parts:
        return ""
    name, _ = _algorithm(parts)
    taken = tuple(algorithms)
    if name not in taken:
        told = visible(_word(parts, ALGORITHM) or name)[:_TOLD_MAX]
        return f'Digest algorithm "{told}" is none of digest_algorithms of this NAS ({", ".join(taken)})'
    qop = _word(parts, QOP)
    if qop.lower() not in _QOPS:
        return f'Digest qop "{visible(qop)[:_TOLD_MAX]}" is not checked here, only auth and auth-int are'
    return ""


def parts_of(frame: Frame) -> Parts | None:
    """Return the parts of the digest in an Access-Request; None when it has none.

    A part that is given twice is left out, for nobody can tell which is meant.
    """
    # Most requests have none, and every one is asked.
    if _NUMBERS.isdisjoint([kind for kind, _ in frame.attributes]):
        return None
    found: dict[int, bytes] = {}
    twice: set[int] = set()
    for kind, value in _unpacked(frame.attributes):
        if kind in found:
            twice.add(kind)
        # Quotes around a token are tolerated; quotes around nothing are nothing.
        found[kind] = value.strip(b' \t"') if kind in _WORDS else value
    return {kind: value for kind, value in found.items() if kind not in twice}


def lacks_response(frame: Frame) -> bool:
    """Tell whether an Access-Request has attributes of a digest, but not the one response that proves it."""
    parts = parts_of(frame)
    if parts is not None:
        return RESPONSE not in parts
    return not _BESIDE_RESPONSE.isdisjoint([kind for kind, _ in frame.attributes])


def digest_credential(parts: Parts, name: str | None) -> DigestCredential | None:
    """Return the credential that *parts* make for the account *name*; None when they prove nothing."""
    qop, (algorithm, is_of_session) = _word(parts, QOP).lower(), _algorithm(parts)
    needed = [RESPONSE, *_NEEDED]
    if qop or is_of_session:
        needed += _NEEDED_WITH_QOP
    if qop == "auth-int":
        needed.append(BODY_HASH)
    if any(not parts.get(part) for part in needed):
        return None
    if qop not in _QOPS or algorithm not in ALGORITHMS or not _is_of(parts, name):
        return None
    return DigestCredential(parts)


def _is_of(parts: Parts, name: str | None) -> bool:
    """Tell whether the digest is of the account *name*: `1001`, or `1001@example.com` with its realm."""
    user = parts[USER_NAME].decode("utf-8", "backslashreplace")
    realm = parts[REALM].decode("utf-8", "backslashreplace")
    return name in (user, f"{user}@{realm}")


def _unpacked(attributes: Iterable[tuple[int, bytes]]) -> Iterable[tuple[int, bytes]]:
    """Yield the parts in either form under the numbers of RFC 5090."""
    for kind, value in attributes:
        if kind in _PARTS:
            yield kind, value
        elif kind == _DRAFT_RESPONSE:
            yield RESPONSE, value
        elif kind == _DRAFT_ATTRIBUTES:
            yield from _draft_parts(value)


def _draft_parts(value: bytes) -> list[tuple[int, bytes]]:
    """Split the sub-attributes of the draft; empty when a length does not fit."""
    found = []
    offset, end = 0, len(value)
    while offset < end:
        length = value[offset + 1] if offset + 1 < end else 0
        if length < 2 or offset + length > end:
            return []
        if 1 <= value[offset] <= len(_DRAFT_PARTS):
            found.append((_DRAFT_PARTS[value[offset] - 1], value[offset + 2 : offset + length]))
        offset += length
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute."""
    return bytes((kind, len(value) + 2)) + value
