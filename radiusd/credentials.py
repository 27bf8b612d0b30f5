"""Proofs of identity in an Access-Request: PAP, CHAP and Digest, compared as octets and in constant time."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5
from types import MappingProxyType
from typing import Final

from radiusd import digest
from radiusd.codec import Attributes, sub_attributes
from radiusd.digest import DigestCredential
from radiusd.wire import ARAP_PASSWORD, EAP_MESSAGE, VENDOR_SPECIFIC, Frame

PASSWORD_OCTETS_MAX: Final = 128
"""RFC 2865 section 5.2."""
_CHAP_OCTETS = 17

# What carries a proof of the user, and is not checked: passwords, and answers to challenges.
_UNCHECKED: Mapping[int, str] = MappingProxyType(
    {
        17: "Old-Password",
        ARAP_PASSWORD: "ARAP-Password",
        74: "ARAP-Security-Data",
        EAP_MESSAGE: "EAP-Message",
    }
)
_UNCHECKED_OF_VENDORS: Mapping[bytes, Mapping[int, str]] = MappingProxyType(
    {
        (9).to_bytes(4): {249: "Cisco-Subscriber-Password"},
        (193).to_bytes(4): {14: "Ericsson-ViG-Digest-Response", 15: "Ericsson-ViG-Digest-Attributes"},
        # RFC 2548 section 2.
        (311).to_bytes(4): {
            1: "MS-CHAP-Response",
            3: "MS-CHAP-CPW-1",
            4: "MS-CHAP-CPW-2",
            5: "MS-CHAP-LM-Enc-PW",
            6: "MS-CHAP-NT-Enc-PW",
            19: "MS-Old-ARAP-Password",
            20: "MS-New-ARAP-Password",
            25: "MS-CHAP2-Response",
            27: "MS-CHAP2-CPW",
        },
        (2011).to_bytes(4): {33: "Huawei-User-Password"},
    }
)


@dataclass(frozen=True, slots=True)
class PapCredential:
    """A password the switch forwards, uncovered."""

    password: bytes = field(repr=False)

    def proves(self, password: str) -> bool:
        """Tell whether the switch sent *password*."""
        return hmac.compare_digest(self.password, password.encode())

    @property
    def is_text(self) -> bool:
        """Tell whether any password could be meant."""
        try:
            self.password.decode()
        except UnicodeDecodeError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class ChapCredential:
    """The answer to a challenge, which only the password yields (RFC 2865 section 2.2)."""

    identifier: int
    challenge: bytes
    response: bytes

    def proves(self, password: str) -> bool:
        """Tell whether *password*, taken as it stands, answers the challenge like that."""
        expected = md5(bytes((self.identifier,)) + password.encode() + self.challenge).digest()
        return hmac.compare_digest(self.response, expected)


@dataclass(frozen=True, slots=True)
class UnusableCredential:
    """Something that was meant as a proof and is none: of a wrong size, repeated, or of two kinds at once."""

    def proves(self, password: str) -> bool:
        """Prove nothing, whatever the *password*."""
        return False


Credential = PapCredential | ChapCredential | DigestCredential | UnusableCredential


def credential_of(attributes: Attributes, frame: Frame, secret: bytes) -> Credential | None:
    """Return the credential a request carries, None if it carries none."""
    hidden = attributes.raws("User-Password")
    chap = attributes.raws("CHAP-Password")
    parts = digest.parts_of(frame)
    # RFC 2865 section 4.1 forbids two proofs at once, and RFC 5090 section 2.2 adds the third kind.
    if len(hidden) + len(chap) + (parts is not None) > 1:
        return UnusableCredential()
    if parts is not None:
        return digest.digest_credential(parts, attributes.text("User-Name")) or UnusableCredential()
    if not hidden and not chap:
        return None
    if hidden:
        return _pap(hidden[0], frame.authenticator, secret)
    # RFC 2865 section 5.40: without a CHAP-Challenge the Request Authenticator is the challenge.
    return _chap(chap[0], attributes.raw("CHAP-Challenge") or frame.authenticator)


def unchecked_proof(frame: Frame) -> str:
    """Name the attribute by which a request claims a proof that is not checked here; empty if none does."""
    for kind, value in frame.attributes:
        known = _UNCHECKED_OF_VENDORS.get(value[:4]) if kind == VENDOR_SPECIFIC else None
        kinds = [inner for inner, _ in sub_attributes(value)] if known else [kind]
        for inner in kinds:
            if name := (known or _UNCHECKED).get(inner):
                return name
    return "a digest without Digest-Response" if digest.lacks_response(frame) else ""


def hide_password(password: str, authenticator: bytes, secret: bytes) -> bytes:
    """Return the value of User-Password as a client sends it (RFC 2865 section 5.2).

    ValueError when *password* has more than 128 octets, the most the attribute holds.
    """
    octets = password.encode()
    if len(octets) > PASSWORD_OCTETS_MAX:
        raise ValueError(f"a password of {len(octets)} octets; User-Password holds {PASSWORD_OCTETS_MAX}")
    padded = octets.ljust(max(16, -(-len(octets) // 16) * 16), b"\0")
    hidden = b""
    last = authenticator
    for start in range(0, len(padded), 16):
        last = _mask(padded[start : start + 16], secret, last)
        hidden += last
    return hidden


def _pap(hidden: bytes, authenticator: bytes, secret: bytes) -> Credential:
    """Uncover a User-Password (RFC 2865 section 5.2): each block is masked by a digest of the one before."""
    if len(hidden) % 16 or not 16 <= len(hidden) <= PASSWORD_OCTETS_MAX:
        return UnusableCredential()
    chain = authenticator + hidden
    blocks = (
        _mask(hidden[start : start + 16], secret, chain[start : start + 16])
        for start in range(0, len(hidden), 16)
    )
    return PapCredential(b"".join(blocks).rstrip(b"\0"))


def _chap(value: bytes, challenge: bytes) -> Credential:
    """Split a CHAP-Password (RFC 2865 section 5.3): one octet of identifier, sixteen of response."""
    if len(value) != _CHAP_OCTETS:
        return UnusableCredential()
    return ChapCredential(value[0], challenge, value[1:])


def _mask(block: bytes, secret: bytes, last: bytes) -> bytes:
    mask = md5(secret + last).digest()
    return (int.from_bytes(block) ^ int.from_bytes(mask)).to_bytes(16)
