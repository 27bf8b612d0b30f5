"""Octets on the wire: is a datagram a well-formed packet, and did the holder of the secret send it?

Everything here is a pure function of its arguments. Whatever a stranger sends ends in a value: a
:class:`Frame`, or the one :class:`DropReason` that says why the datagram gets no answer. Nothing is decoded
beyond what framing and authenticity need; the meaning of attributes is the codec's business.
"""

import hmac
import secrets
import struct
from enum import Enum, IntEnum, StrEnum
from hashlib import md5
from typing import Final, NamedTuple

HEADER_OCTETS: Final = 20
PACKET_OCTETS_MAX: Final = 4096
"""RFC 2865 section 3. The 4095 of RFC 2866 section 3 is taken for a misprint, as everywhere."""
ATTRIBUTES_MAX: Final = 200
"""No real request comes near; two thousand two-octet attributes are an attack on the processor."""

USER_PASSWORD: Final = 2
CHAP_PASSWORD: Final = 3
REPLY_MESSAGE: Final = 18
STATE: Final = 24
CLASS: Final = 25
VENDOR_SPECIFIC: Final = 26
SESSION_TIMEOUT: Final = 27
SIP_AVP: Final = 225
"""Of nobody's registry: what limits a call through Kamailio."""
PROXY_STATE: Final = 33
ARAP_PASSWORD: Final = 70
EAP_MESSAGE: Final = 79
MESSAGE_AUTHENTICATOR: Final = 80

_HEAD = struct.Struct("!BBH")
_ZEROS = bytes(16)
_MESSAGE_AUTHENTICATOR_HEAD = bytes((MESSAGE_AUTHENTICATOR, 18))
_PASSWORDS = frozenset((USER_PASSWORD, CHAP_PASSWORD, ARAP_PASSWORD))


class DropReason(StrEnum):
    """Why a datagram got no answer; the closed set of `reason` in logs and metrics."""

    SHORT = "short"
    LENGTH_FIELD = "length_field"
    TRUNCATED = "truncated"
    ATTR_HEADER = "attr_header"
    ATTR_LENGTH = "attr_length"
    ATTR_OVERFLOW = "attr_overflow"
    ATTR_ZERO = "attr_zero"
    TOO_MANY_ATTRS = "too_many_attrs"
    UNKNOWN_CODE = "unknown_code"
    WRONG_PORT_CODE = "wrong_port_code"
    UNKNOWN_CLIENT = "unknown_client"
    BAD_AUTHENTICATOR = "bad_authenticator"
    BAD_MA = "bad_ma"
    MA_LENGTH = "ma_length"
    MA_DUPLICATE = "ma_duplicate"
    MA_MISSING = "ma_missing"
    PROXY_STATE_NO_MA = "proxy_state_no_ma"
    EAP_MIXED = "eap_mixed"
    DUPLICATE_INFLIGHT = "duplicate_inflight"
    SUPERSEDED = "superseded"
    MISSING_MANDATORY = "missing_mandatory"
    NOT_RECORDED = "not_recorded"
    BACKEND_DOWN = "backend_down"
    REPLY_TOO_BIG = "reply_too_big"
    STATUS_DISABLED = "status_disabled"
    INTERNAL_ERROR = "internal_error"
    STALE = "stale"
    OVERLOAD = "overload"
    KERNEL_FULL = "kernel_full"


class Port(Enum):
    """Which of the server's two services a datagram was sent to."""

    AUTHENTICATION = "authentication"
    ACCOUNTING = "accounting"


class Code(IntEnum):
    """Packet types (RFC 2865 section 4, RFC 2866, RFC 5176, RFC 5997, RFC 7930)."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11
    STATUS_SERVER = 12
    DISCONNECT_REQUEST = 40
    DISCONNECT_ACK = 41
    DISCONNECT_NAK = 42
    COA_REQUEST = 43
    COA_ACK = 44
    COA_NAK = 45
    PROTOCOL_ERROR = 52

    __hash__ = int.__hash__  # Enum's own is written in Python, and every packet looks up a few.


# Tuples, not sets: an enum's hash costs more than comparing a few of them.
_SERVED = {
    Port.AUTHENTICATION: (Code.ACCESS_REQUEST, Code.STATUS_SERVER),
    Port.ACCOUNTING: (Code.ACCOUNTING_REQUEST, Code.STATUS_SERVER),
}
_REPLIES = (
    Code.ACCESS_ACCEPT,
    Code.ACCESS_REJECT,
    Code.ACCESS_CHALLENGE,
    Code.ACCOUNTING_RESPONSE,
    Code.DISCONNECT_ACK,
    Code.DISCONNECT_NAK,
    Code.COA_ACK,
    Code.COA_NAK,
    Code.PROTOCOL_ERROR,
)
_CODES = {code.value: code for code in Code}
_RANDOM_AUTHENTICATOR = (Code.ACCESS_REQUEST, Code.STATUS_SERVER)
"""Requests with a random authenticator (RFC 2865 section 3, RFC 5997 section 3); the others sign with it."""
_SIGNED_REPLIES = (Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE, Code.PROTOCOL_ERROR)
_NEVER_TRIMMED = {
    # An Accept that lost its limit would be an endless call, so it is rather not sent at all.
    Code.ACCESS_ACCEPT: frozenset((VENDOR_SPECIFIC, SESSION_TIMEOUT, SIP_AVP)),
    Code.ACCESS_CHALLENGE: frozenset((STATE,)),
}


class Frame(NamedTuple):
    """A well-formed packet; whether it is authentic is still to be asked."""

    code: Code
    identifier: int
    authenticator: bytes
    raw: bytes
    """The packet without padding: exactly the octets its Length field counts."""
    attributes: tuple[tuple[int, bytes], ...]
    """(type, value) in the order of the packet; a Vendor-Specific value is whole and unchecked."""
    message_authenticator_offset: int | None
    """Where in `raw` the 16 octets of the Message-Authenticator's value begin."""


def parse(datagram: bytes, port: Port) -> Frame | DropReason:
    """Check the framing of a request that came in on *port* (RFC 2865 sections 3 and 5)."""
    return _frame(datagram, _SERVED[port])


def parse_reply(datagram: bytes) -> Frame | DropReason:
    """Check the framing of a datagram that should be a reply to us; see `verify_reply` for authenticity."""
    return _frame(datagram, _REPLIES)


def authenticate(
    frame: Frame, secret: bytes, *, require_message_authenticator: bool, limit_proxy_state: bool
) -> DropReason | None:
    """Return why *frame* cannot be trusted, or None when the holder of *secret* sent it.

    The two policies concern Access-Requests without Message-Authenticator, which anyone on the path can
    forge: refuse all of them, or only those with a Proxy-State, which the BlastRADIUS attack
    (CVE-2024-3596) needs.
    """
    # RFC 2866 section 3. Comparing with the digest also refuses an authenticator of zeros.
    if frame.code == Code.ACCOUNTING_REQUEST and not hmac.compare_digest(
        _request_authenticator(frame.raw[:4], frame.raw[HEADER_OCTETS:], secret), frame.authenticator
    ):
        return DropReason.BAD_AUTHENTICATOR
    if frame.message_authenticator_offset is None:
        return _unsigned_fault(frame, require_message_authenticator, limit_proxy_state)
    vector = frame.authenticator if frame.code in _RANDOM_AUTHENTICATOR else _ZEROS
    if not _message_authenticator_holds(frame, vector, secret):
        return DropReason.BAD_MA
    return None


def reply(code: Code, request: Frame, attributes: bytes, secret: bytes) -> bytes | DropReason:
    """Build the signed answer to *request* from encoded *attributes*.

    Message-Authenticator goes first into every reply to an Access-Request or to a Status-Server on the
    authentication port, against BlastRADIUS; Proxy-State is echoed unmodified and in order (RFC 2865 section
    5.33). A reply over 4096 octets loses its Reply-Message, then other attributes from the back, at last
    Class; `DropReason.REPLY_TOO_BIG` when that is not enough. An Accept never loses what limits the call.
    """
    proxy_states = _proxy_states(request)
    signed = code in _SIGNED_REPLIES
    room = PACKET_OCTETS_MAX - HEADER_OCTETS - len(proxy_states) - (18 if signed else 0)
    if len(attributes) > room:
        trimmed = _trim(code, attributes, room)
        if trimmed is None:
            return DropReason.REPLY_TOO_BIG
        attributes = trimmed
    attributes += proxy_states
    if signed:
        attributes = _with_message_authenticator(
            code, request.identifier, request.authenticator, attributes, secret
        )
    return sign_reply(code, request.identifier, request.authenticator, attributes, secret)


def sign_reply(
    code: Code, identifier: int, request_authenticator: bytes, attributes: bytes, secret: bytes
) -> bytes:
    """Put header and Response Authenticator (RFC 2865 section 3) before finished *attributes*."""
    head = _HEAD.pack(code, identifier, HEADER_OCTETS + len(attributes))
    return head + md5(head + request_authenticator + attributes + secret).digest() + attributes


def request(
    code: Code,
    identifier: int,
    attributes: bytes,
    secret: bytes,
    *,
    authenticator: bytes | None = None,
    message_authenticator: bool | None = None,
) -> bytes:
    """Build what a client sends; the way `radiusd call`, `radiusd status` and the tests speak to a server.

    *authenticator* is for Access-Request and Status-Server, where it must be the one that hid the password
    (random when None); the other requests sign with theirs. *message_authenticator* puts that attribute
    first: by default in the former two, not in the latter.
    """
    random = code in _RANDOM_AUTHENTICATOR
    assert random or authenticator is None, f"the authenticator of {code.name} is computed, never given"
    vector = (authenticator or secrets.token_bytes(16)) if random else _ZEROS
    if random if message_authenticator is None else message_authenticator:
        attributes = _with_message_authenticator(code, identifier, vector, attributes, secret)
    head = _HEAD.pack(code, identifier, HEADER_OCTETS + len(attributes))
    return head + (vector if random else _request_authenticator(head, attributes, secret)) + attributes


def verify_reply(raw: bytes, request_authenticator: bytes, secret: bytes) -> bool:
    """Tell whether *raw* is a genuine reply to the request that carried *request_authenticator*.

    Its Response Authenticator must hold and, when it has one, its Message-Authenticator too.
    """
    frame = parse_reply(raw)
    if isinstance(frame, DropReason):
        return False
    body = frame.raw[HEADER_OCTETS:]
    expected = md5(frame.raw[:4] + request_authenticator + body + secret).digest()
    if not hmac.compare_digest(expected, frame.authenticator):
        return False
    return frame.message_authenticator_offset is None or _message_authenticator_holds(
        frame, request_authenticator, secret
    )


def _frame(datagram: bytes, codes: tuple[Code, ...]) -> Frame | DropReason:
    """Check header, attributes and the rules on which attributes go together."""
    if len(datagram) < HEADER_OCTETS:
        return DropReason.SHORT
    number, identifier, length = _HEAD.unpack_from(datagram)
    if not HEADER_OCTETS <= length <= PACKET_OCTETS_MAX:
        return DropReason.LENGTH_FIELD
    if len(datagram) < length:
        return DropReason.TRUNCATED
    code = _CODES.get(number)
    if code not in codes:
        return DropReason.UNKNOWN_CODE if code is None else DropReason.WRONG_PORT_CODE
    # Octets past Length are padding (RFC 2865 section 3).
    raw = datagram[:length]
    attributes = _split(raw)
    if isinstance(attributes, DropReason):
        return attributes
    kinds = dict(attributes)
    # RFC 3579 section 3.1: EAP replaces every other proof of identity.
    if EAP_MESSAGE in kinds and not _PASSWORDS.isdisjoint(kinds):
        return DropReason.EAP_MIXED
    offset = _message_authenticator_offset(attributes) if MESSAGE_AUTHENTICATOR in kinds else None
    if isinstance(offset, DropReason):
        return offset
    assert code is not None
    return Frame(code, identifier, raw[4:HEADER_OCTETS], raw, tuple(attributes), offset)


def _split(raw: bytes) -> list[tuple[int, bytes]] | DropReason:
    """Split the attributes of a packet, which must fill it exactly (RFC 2865 sections 3 and 5)."""
    attributes: list[tuple[int, bytes]] = []
    offset, end = HEADER_OCTETS, len(raw)
    for _ in range(ATTRIBUTES_MAX + 1):
        if offset == end:
            return attributes
        if offset + 1 == end:
            return DropReason.ATTR_HEADER
        kind, length = raw[offset], raw[offset + 1]
        if length < 2:
            return DropReason.ATTR_LENGTH
        if offset + length > end:
            return DropReason.ATTR_OVERFLOW
        if not kind:
            return DropReason.ATTR_ZERO
        attributes.append((kind, raw[offset + 2 : offset + length]))
        offset += length
    return DropReason.TOO_MANY_ATTRS


def _message_authenticator_offset(attributes: list[tuple[int, bytes]]) -> int | DropReason:
    """Find the one Message-Authenticator that is allowed, of 16 octets (RFC 3579 sections 3.2 and 3.3)."""
    found = None
    offset = HEADER_OCTETS
    for kind, value in attributes:
        if kind == MESSAGE_AUTHENTICATOR:
            if found is not None:
                return DropReason.MA_DUPLICATE
            if len(value) != 16:
                return DropReason.MA_LENGTH
            found = offset + 2
        offset += 2 + len(value)
    assert found is not None, "asked for a Message-Authenticator that is not there"
    return found


def _unsigned_fault(
    frame: Frame, require_message_authenticator: bool, limit_proxy_state: bool
) -> DropReason | None:
    """Judge a request that has no Message-Authenticator."""
    kinds = dict(frame.attributes)
    # RFC 5997 section 3 and RFC 3579 section 3.2 leave no choice.
    if frame.code == Code.STATUS_SERVER or EAP_MESSAGE in kinds:
        return DropReason.MA_MISSING
    if frame.code != Code.ACCESS_REQUEST:
        return None
    if require_message_authenticator:
        return DropReason.MA_MISSING
    if limit_proxy_state and PROXY_STATE in kinds:
        return DropReason.PROXY_STATE_NO_MA
    return None


def _request_authenticator(head: bytes, attributes: bytes, secret: bytes) -> bytes:
    """Return the authenticator of a request that signs with it (RFC 2866 section 3, RFC 5176 section 2.3)."""
    return md5(head + _ZEROS + attributes + secret).digest()


def _message_authenticator_holds(frame: Frame, vector: bytes, secret: bytes) -> bool:
    """Verify the Message-Authenticator over the packet as received, its own value taken as zeros.

    *vector* stands for the authenticator field: the request's own, in a reply the request's, and zeros in
    requests whose authenticator is computed afterwards (RFC 3579 section 3.2, RFC 5176 section 3.4).
    """
    offset = frame.message_authenticator_offset
    assert offset is not None, "asked to verify a Message-Authenticator that is not there"
    raw = frame.raw
    signed = raw[:4] + vector + raw[HEADER_OCTETS:offset] + _ZEROS + raw[offset + 16 :]
    return hmac.compare_digest(hmac.digest(secret, signed, "md5"), raw[offset : offset + 16])


def _with_message_authenticator(
    code: Code, identifier: int, vector: bytes, attributes: bytes, secret: bytes
) -> bytes:
    """Return *attributes* behind a Message-Authenticator that covers the packet they will make."""
    head = _HEAD.pack(code, identifier, HEADER_OCTETS + 18 + len(attributes))
    signed = head + vector + _MESSAGE_AUTHENTICATOR_HEAD + _ZEROS + attributes
    return _MESSAGE_AUTHENTICATOR_HEAD + hmac.digest(secret, signed, "md5") + attributes


def _proxy_states(request: Frame) -> bytes:
    """Return the Proxy-State attributes of *request* as they were sent."""
    return b"".join(
        [
            bytes((PROXY_STATE, len(value) + 2)) + value
            for kind, value in request.attributes
            if kind == PROXY_STATE
        ]
    )


def _trim(code: Code, attributes: bytes, room: int) -> bytes | None:
    """Leave out what can be spared until *attributes* fit into *room* octets; None if they cannot."""
    kept = _split(bytes(HEADER_OCTETS) + attributes)
    assert not isinstance(kept, DropReason), f"our own reply attributes are malformed: {kept}"
    excess = len(attributes) - room
    for index in _spared_first(code, kept):
        if excess <= 0:
            break
        excess -= 2 + len(kept[index][1])
        kept[index] = (0, b"")
    if excess > 0:
        return None
    return b"".join(bytes((kind, len(value) + 2)) + value for kind, value in kept if kind)


def _spared_first(code: Code, attributes: list[tuple[int, bytes]]) -> list[int]:
    """Return which attributes may be left out, by index, in the order of leaving out."""
    needed = _NEVER_TRIMMED.get(code, frozenset())
    worth = {REPLY_MESSAGE: 0, CLASS: 2}
    sparable = [index for index, (kind, _) in enumerate(attributes) if kind not in needed]
    return sorted(sparable, key=lambda index: (worth.get(attributes[index][0], 1), -index))
