"""Packets as switches make them, with one thing wrong: each fault has its verdict, and none costs much.

Random octets rarely get past the header. These packets are well formed, their Vendor-Specific attributes
perhaps slightly broken, and they are signed; then one fault is put in, of which we know what must be said.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from radiusd.codec import Attributes
from radiusd.dialects import DIALECTS
from radiusd.dialects.reader import tables
from radiusd.wire import (
    ATTRIBUTES_MAX,
    EAP_MESSAGE,
    MESSAGE_AUTHENTICATOR,
    PACKET_OCTETS_MAX,
    Code,
    DropReason,
    Frame,
    Port,
    authenticate,
    parse,
    request,
)

SECRET = b"correct horse battery"
AUTHENTICATOR = bytes(range(16))
POLICY = {"require_message_authenticator": True, "limit_proxy_state": True}
VENDORS = (9, 9, 9, 5003, 6618, 35265, 99999)


def avp(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def vendor_value(vendor: int, parts: list[tuple[int, bytes]]) -> bytes:
    return vendor.to_bytes(4) + b"".join(avp(*part) for part in parts)


def off_by(value: bytes, where: int, difference: int) -> bytes:
    """Change one octet, which is perhaps the length of a sub-attribute."""
    place = where % len(value)
    return value[:place] + bytes(((value[place] + difference) % 256,)) + value[place + 1 :]


plain = st.tuples(
    st.integers(1, 255).filter(lambda kind: kind not in (26, EAP_MESSAGE, MESSAGE_AUTHENTICATOR)),
    st.binary(max_size=60) | st.binary(min_size=4, max_size=4),
)
vendor_values = st.builds(
    vendor_value,
    st.sampled_from(VENDORS),
    st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=4),
)
broken_vendor_values = st.builds(
    off_by, vendor_values, st.integers(4, 200), st.sampled_from((-2, -1, 1, 2, 128))
)
vendor_specific = st.tuples(st.just(26), vendor_values | broken_vendor_values | st.binary(max_size=8))
attribute_lists = st.lists(plain | vendor_specific, max_size=20)
codes = st.sampled_from((Code.ACCESS_REQUEST, Code.ACCOUNTING_REQUEST, Code.STATUS_SERVER))


def signed(code: Code, attributes: list[tuple[int, bytes]]) -> bytes:
    """Return a packet that passes; the Message-Authenticator is its first attribute."""
    return request(
        code,
        42,
        b"".join(avp(*each) for each in attributes),
        SECRET,
        authenticator=None if code is Code.ACCOUNTING_REQUEST else AUTHENTICATOR,
        message_authenticator=True,
    )


def port_of(code: Code) -> Port:
    return Port.ACCOUNTING if code is Code.ACCOUNTING_REQUEST else Port.AUTHENTICATION


def with_length(packet: bytes, length: int | None = None) -> bytes:
    """Write the Length field anew, by default the packet's own size."""
    return packet[:2] + (len(packet) if length is None else length).to_bytes(2) + packet[4:]


@dataclass(frozen=True)
class Fault:
    """What is done to a good packet, and what must be said of it. Faults differ in where they stand."""

    verdict: DropReason
    put_in: Callable[[bytes], bytes]


FAULTS = {
    "cut within the header": Fault(DropReason.SHORT, lambda packet: packet[:19]),
    "a length shorter than the header": Fault(
        DropReason.LENGTH_FIELD, lambda packet: with_length(packet, 19)
    ),
    "a length beyond 4096": Fault(DropReason.LENGTH_FIELD, lambda packet: with_length(packet, 4097)),
    "the last octet is lost": Fault(DropReason.TRUNCATED, lambda packet: packet[:-1]),
    "a stray octet at the end": Fault(DropReason.ATTR_HEADER, lambda packet: with_length(packet + b"\x01")),
    "an attribute of length 0": Fault(
        DropReason.ATTR_LENGTH, lambda packet: with_length(packet + b"\x01\x00")
    ),
    "an attribute of length 1": Fault(
        DropReason.ATTR_LENGTH, lambda packet: with_length(packet + b"\x01\x01")
    ),
    "an attribute past the end": Fault(
        DropReason.ATTR_OVERFLOW, lambda packet: with_length(packet + b"\x01\x03")
    ),
    "an attribute of type 0": Fault(DropReason.ATTR_ZERO, lambda packet: with_length(packet + b"\x00\x02")),
    "too many attributes": Fault(
        DropReason.TOO_MANY_ATTRS, lambda packet: with_length(packet + avp(1, b"") * ATTRIBUTES_MAX)
    ),
    "a code of nobody": Fault(DropReason.UNKNOWN_CODE, lambda packet: b"\xff" + packet[1:]),
    "a reply where a request belongs": Fault(DropReason.WRONG_PORT_CODE, lambda packet: b"\x02" + packet[1:]),
    "a second Message-Authenticator": Fault(
        DropReason.MA_DUPLICATE, lambda packet: with_length(packet + avp(MESSAGE_AUTHENTICATOR, bytes(16)))
    ),
    "a Message-Authenticator of 15 octets": Fault(
        DropReason.MA_LENGTH,
        lambda packet: with_length(packet[:20] + avp(MESSAGE_AUTHENTICATOR, bytes(15)) + packet[38:]),
    ),
    "EAP beside a password": Fault(
        DropReason.EAP_MIXED, lambda packet: with_length(packet + avp(EAP_MESSAGE, b"") + avp(2, bytes(16)))
    ),
}


@given(codes, attribute_lists)
def test_a_signed_packet_is_taken_and_is_the_same_when_written_again(
    code: Code, attributes: list[tuple[int, bytes]]
) -> None:
    packet = signed(code, attributes)
    frame = parse(packet, port_of(code))

    assert isinstance(frame, Frame)
    assert frame.attributes[1:] == tuple(attributes)
    assert (frame.code, frame.identifier, frame.authenticator) == (code, 42, packet[4:20])
    head = bytes((frame.code, frame.identifier)) + len(packet).to_bytes(2) + frame.authenticator
    assert head + b"".join(avp(*each) for each in frame.attributes) == frame.raw == packet
    assert authenticate(frame, SECRET, **POLICY) is None


@given(st.data(), codes, attribute_lists, st.sampled_from(sorted(FAULTS)))
def test_whatever_else_it_holds_a_packet_is_dropped_for_its_fault(
    data: st.DataObject, code: Code, attributes: list[tuple[int, bytes]], name: str
) -> None:
    fault = FAULTS[name]
    broken = fault.put_in(signed(code, attributes))
    # Padding hides no fault, but for those of the datagram's own size.
    if fault.verdict not in (DropReason.SHORT, DropReason.TRUNCATED):
        broken += data.draw(st.binary(max_size=5))

    assert parse(broken, port_of(code)) is fault.verdict


@given(codes, attribute_lists, st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_octet_of_a_signed_packet_is_always_noticed(
    code: Code, attributes: list[tuple[int, bytes]], where: int, difference: int
) -> None:
    changed = off_by(signed(code, attributes), where, difference)
    for port in Port:
        outcome = parse(changed, port)

        reason = authenticate(outcome, SECRET, **POLICY) if isinstance(outcome, Frame) else outcome
        assert isinstance(reason, DropReason)


# --- work is bounded by the number of attributes: lines of Python executed are counted, not time ------


def lines_executed(work: Callable[[], object]) -> int:
    """Count the lines of radiusd's modules that *work* executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "radiusd" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def parts_of(attributes: tuple[tuple[int, bytes], ...]) -> int:
    """Return how many attributes and sub-attributes there can be at most."""
    return sum(len(value) // 2 + 1 if kind == 26 else 1 for kind, value in attributes)


@given(codes, attribute_lists)
@example(Code.ACCESS_REQUEST, [(1, b"")] * (ATTRIBUTES_MAX - 1))
@example(Code.ACCESS_REQUEST, [(26, vendor_value(9, [(1, b"")] * 124))] * 15)
def test_framing_and_sorting_take_a_few_steps_for_each_attribute(
    code: Code, attributes: list[tuple[int, bytes]]
) -> None:
    packet = signed(code, attributes)
    frame = parse(packet, port_of(code))
    assert isinstance(frame, Frame)
    known = tables(DIALECTS["cisco"], access=True)

    assert lines_executed(lambda: parse(packet, port_of(code))) <= 60 + 20 * len(frame.attributes)
    assert lines_executed(lambda: Attributes(frame.attributes, known)) <= 30 + 15 * parts_of(frame.attributes)


def test_a_packet_full_of_empty_attributes_is_given_up_at_the_first_too_many() -> None:
    def packet_of(count: int) -> bytes:
        return with_length(bytes((1, 42, 0, 0)) + AUTHENTICATOR + avp(1, b"") * count)

    def steps(count: int) -> int:
        return lines_executed(lambda: parse(packet_of(count), Port.AUTHENTICATION))

    most = (PACKET_OCTETS_MAX - 20) // 2
    assert parse(packet_of(most), Port.AUTHENTICATION) is DropReason.TOO_MANY_ATTRS
    assert steps(ATTRIBUTES_MAX + 1) == steps(most)
