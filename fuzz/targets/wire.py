"""The pre-validator: framing, authenticity, and the reply to whatever passes.

The first octet chooses port and policy, and whether the rest is a datagram as it stands or attributes that
are to be put into a signed packet.
"""

from fuzz.targets.packets import AUTHENTICATOR, SECRET
from radiusd import wire
from radiusd.wire import Code, DropReason, Frame, Port

FRAMING = frozenset(
    (
        DropReason.SHORT,
        DropReason.LENGTH_FIELD,
        DropReason.TRUNCATED,
        DropReason.ATTR_HEADER,
        DropReason.ATTR_LENGTH,
        DropReason.ATTR_OVERFLOW,
        DropReason.ATTR_ZERO,
        DropReason.TOO_MANY_ATTRS,
        DropReason.UNKNOWN_CODE,
        DropReason.WRONG_PORT_CODE,
        DropReason.EAP_MIXED,
        DropReason.MA_DUPLICATE,
        DropReason.MA_LENGTH,
    )
)
"""Why a datagram is no packet."""
AUTHENTICITY = frozenset(
    (
        DropReason.BAD_AUTHENTICATOR,
        DropReason.BAD_MA,
        DropReason.MA_MISSING,
        DropReason.PROXY_STATE_NO_MA,
    )
)
"""Why a packet can't be trusted."""

_REPLIES = {
    Code.ACCESS_REQUEST: Code.ACCESS_ACCEPT,
    Code.ACCOUNTING_REQUEST: Code.ACCOUNTING_RESPONSE,
    Code.STATUS_SERVER: Code.ACCESS_ACCEPT,
}
_REQUESTS = (Code.ACCESS_REQUEST, Code.ACCOUNTING_REQUEST, Code.STATUS_SERVER)
_CLASS = bytes((wire.CLASS, 6)) + b"leg1"


def check(octets: bytes) -> None:
    """Judge a datagram as the daemon does."""
    flags, rest = octets[:1].ljust(1, b"\0")[0], octets[1:]
    port = Port.ACCOUNTING if flags & 1 else Port.AUTHENTICATION
    is_signed = bool(flags & 8) and len(rest) <= wire.PACKET_OCTETS_MAX - wire.HEADER_OCTETS - 18
    datagram = _signed(flags, rest) if is_signed else rest
    frame = wire.parse(datagram, port)
    assert not wire.verify_reply(datagram, AUTHENTICATOR, b"a secret of somebody else")
    if isinstance(frame, DropReason):
        assert frame in FRAMING, frame
        return
    _check_frame(frame, datagram)
    assert wire.parse(datagram + b"\xff", port) == frame, "padding has changed the meaning"
    reason = wire.authenticate(
        frame, SECRET, require_message_authenticator=bool(flags & 2), limit_proxy_state=bool(flags & 4)
    )
    assert reason is None or reason in AUTHENTICITY, reason
    if is_signed:
        # What is missing here may be missing by intent; what is there was made with the secret.
        assert reason is not DropReason.BAD_AUTHENTICATOR
    _check_reply(frame)


def _signed(flags: int, attributes: bytes) -> bytes:
    code = _REQUESTS[(flags >> 4) % len(_REQUESTS)]
    authenticator = None if code is Code.ACCOUNTING_REQUEST else AUTHENTICATOR
    is_first = bool(flags & 128)
    return wire.request(
        code, flags, attributes, SECRET, authenticator=authenticator, message_authenticator=is_first
    )


def _check_frame(frame: Frame, datagram: bytes) -> None:
    joined = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in frame.attributes)
    head = bytes((frame.code, frame.identifier)) + len(frame.raw).to_bytes(2) + frame.authenticator
    assert head + joined == frame.raw == datagram[: len(frame.raw)], "a frame is not what was sent"
    assert len(frame.attributes) <= wire.ATTRIBUTES_MAX
    offset = frame.message_authenticator_offset
    if offset is not None:
        assert frame.raw[offset - 2 : offset] == bytes((wire.MESSAGE_AUTHENTICATOR, 18))
        assert offset + 16 <= len(frame.raw)


def _check_reply(frame: Frame) -> None:
    answer = wire.reply(_REPLIES[frame.code], frame, _CLASS, SECRET)
    if isinstance(answer, DropReason):
        assert answer is DropReason.REPLY_TOO_BIG
        return
    assert len(answer) <= wire.PACKET_OCTETS_MAX
    assert wire.verify_reply(answer, frame.authenticator, SECRET)
    echoed = wire.parse_reply(answer)
    assert isinstance(echoed, Frame)
    asked, given = (
        [value for kind, value in each.attributes if kind == wire.PROXY_STATE] for each in (frame, echoed)
    )
    assert asked == given, "Proxy-State did not come back as it was"
