"""Framing, authenticity and replies; the packets themselves are in tests/vectors."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from radiusd.wire import (
    CLASS,
    MESSAGE_AUTHENTICATOR,
    PACKET_OCTETS_MAX,
    PROXY_STATE,
    REPLY_MESSAGE,
    SESSION_TIMEOUT,
    VENDOR_SPECIFIC,
    Code,
    DropReason,
    Frame,
    Port,
    authenticate,
    parse,
    parse_reply,
    reply,
    request,
    sign_reply,
    verify_reply,
)

VECTORS = Path(__file__).parent.parent / "vectors"
SECRET = b"correct horse battery"
RFC_SECRET = b"xyzzy5461"
POLICIES = {
    "require": {"require_message_authenticator": True, "limit_proxy_state": True},
    "limit": {"require_message_authenticator": False, "limit_proxy_state": True},
    "lenient": {"require_message_authenticator": False, "limit_proxy_state": False},
}
ACCESS_REPLIES = (Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE)


def rows(name: str) -> list[list[str]]:
    lines = (VECTORS / name).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.split("|")] for line in lines if line and not line.startswith("#")]


def octets(text: str) -> bytes:
    """Read hexadecimal in which `[xx]xN` stands for N times xx."""
    while "[" in text:
        text = re.sub(r"\[([0-9a-f ]+)\]x(\d+)", lambda found: found[1] * int(found[2]), text)
    return bytes.fromhex(text)


RFC_EXAMPLES: dict[str, dict[str, str]] = {}
for _section, _what, _value in rows("rfc_packets.txt"):
    RFC_EXAMPLES.setdefault(_section, {})[_what] = _value


def avp(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def parsed(datagram: bytes, port: Port = Port.AUTHENTICATION) -> Frame:
    frame = parse(datagram, port)
    assert isinstance(frame, Frame), frame
    return frame


def access_request(*attributes: bytes) -> Frame:
    return parsed(request(Code.ACCESS_REQUEST, 42, b"".join(attributes), SECRET))


def kinds(datagram: bytes | DropReason) -> list[int]:
    assert not isinstance(datagram, DropReason), datagram
    frame = parse_reply(datagram)
    assert isinstance(frame, Frame), frame
    return [kind for kind, _ in frame.attributes]


attribute_lists = st.lists(
    st.tuples(st.integers(1, 255).filter(lambda kind: kind not in (79, 80)), st.binary(max_size=253)),
    max_size=15,
)


@pytest.mark.parametrize(("row", "what", "port", "verdict", "datagram"), rows("framing.txt"))
def test_framing_decides_as_the_vectors_say(
    row: str, what: str, port: str, verdict: str, datagram: str
) -> None:
    outcome = parse(octets(datagram), Port(port))

    assert (outcome if isinstance(outcome, DropReason) else "served") == verdict


@pytest.mark.parametrize(("row", "what", "policy", "verdict", "datagram"), rows("authenticity.txt"))
def test_authenticity_is_decided_as_the_vectors_say(
    row: str, what: str, policy: str, verdict: str, datagram: str
) -> None:
    raw = octets(datagram)
    frame = parsed(raw, Port.ACCOUNTING if raw[0] == Code.ACCOUNTING_REQUEST else Port.AUTHENTICATION)

    assert (authenticate(frame, SECRET, **POLICIES[policy]) or "authentic") == verdict


def test_every_reason_of_framing_and_authenticity_has_a_vector() -> None:
    told_elsewhere = {
        DropReason.UNKNOWN_CLIENT,
        DropReason.DUPLICATE_INFLIGHT,
        DropReason.SUPERSEDED,
        DropReason.MISSING_MANDATORY,
        DropReason.NOT_RECORDED,
        DropReason.BACKEND_DOWN,
        DropReason.REPLY_TOO_BIG,
        DropReason.STATUS_DISABLED,
        DropReason.INTERNAL_ERROR,
        DropReason.STALE,
        DropReason.OVERLOAD,
        DropReason.KERNEL_FULL,
    }
    seen = {verdict for name in ("framing.txt", "authenticity.txt") for _, _, _, verdict, _ in rows(name)}

    assert seen - {"served", "authentic"} == set(DropReason) - told_elsewhere


@pytest.mark.parametrize("section", [section for section in RFC_EXAMPLES if section != "RFC 2865 7.3 (2)"])
def test_requests_of_the_rfcs_are_well_formed_and_authentic(section: str) -> None:
    raw = octets(RFC_EXAMPLES[section]["request"])
    frame = parsed(raw)

    assert authenticate(frame, RFC_SECRET, **POLICIES["limit"]) is None
    assert frame.raw == raw
    assert frame.raw[20:] == b"".join(avp(kind, value) for kind, value in frame.attributes)


def test_the_misprinted_request_of_rfc_2865_is_dropped_and_its_mended_form_served() -> None:
    printed = octets(RFC_EXAMPLES["RFC 2865 7.3 (2)"]["request"])
    mended = printed[:58] + bytes((10,)) + printed[59:]

    assert parse(printed, Port.AUTHENTICATION) is DropReason.ATTR_OVERFLOW
    assert parsed(mended).attributes[-1] == (24, b"32769430")


@pytest.mark.parametrize("section", RFC_EXAMPLES)
def test_responses_of_the_rfcs_are_reproduced_octet_for_octet_p_041(section: str) -> None:
    example = RFC_EXAMPLES[section]
    printed = octets(example["response"])
    # RFC 5997 section 6.2 misprints the code: its authenticator is that of an Accounting-Response.
    code = Code.ACCOUNTING_RESPONSE if section == "RFC 5997 6.2" else Code(printed[0])
    authenticator = octets(example["request"])[4:20]
    built = sign_reply(code, printed[1], authenticator, printed[20:], RFC_SECRET)

    assert built[1:] == printed[1:]
    assert verify_reply(built, authenticator, RFC_SECRET)


def test_an_accounting_response_is_what_rfc_5997_prints() -> None:
    example = RFC_EXAMPLES["RFC 5997 6.2"]
    status = parsed(octets(example["request"]), Port.ACCOUNTING)
    answer = reply(Code.ACCOUNTING_RESPONSE, status, b"", RFC_SECRET)

    assert answer == bytes((Code.ACCOUNTING_RESPONSE,)) + octets(example["response"])[1:]


@pytest.mark.parametrize("section", ["RFC 5997 6.1", "RFC 5997 6.2", "RFC 5997 6.3"])
def test_status_requests_of_the_rfc_are_reproduced_with_the_message_authenticator_where_it_stands(
    section: str,
) -> None:
    printed = octets(RFC_EXAMPLES[section]["request"])
    frame = parsed(printed)
    others = b"".join(avp(kind, value) for kind, value in frame.attributes if kind != MESSAGE_AUTHENTICATOR)
    built = request(Code.STATUS_SERVER, printed[1], others, RFC_SECRET, authenticator=printed[4:20])

    assert authenticate(parsed(built), RFC_SECRET, **POLICIES["require"]) is None
    assert sorted(parsed(built).attributes)[0] == sorted(frame.attributes)[0]
    assert others or built == printed


@given(st.binary(max_size=120))
@example(b"\x01\x00\x00\x1a" + bytes(16) + b"\x1a\x06\x00\x00\x00\x09")
def test_no_datagram_is_too_strange_for_a_verdict(datagram: bytes) -> None:
    for port in Port:
        assert isinstance(parse(datagram, port), Frame | DropReason)


@given(st.data(), attribute_lists)
def test_a_damaged_request_still_gets_a_verdict_and_is_never_taken_for_authentic(
    data: st.DataObject, attributes: list[tuple[int, bytes]]
) -> None:
    original = request(Code.ACCESS_REQUEST, 42, b"".join(avp(*each) for each in attributes), SECRET)
    position = data.draw(st.integers(0, len(original) - 1))
    damage = data.draw(st.integers(1, 255))
    damaged = original[:position] + bytes((original[position] ^ damage,)) + original[position + 1 :]
    outcome = parse(damaged, Port.AUTHENTICATION)

    if isinstance(outcome, Frame):
        assert authenticate(outcome, SECRET, **POLICIES["require"]) is not None


@given(st.sampled_from((Code.ACCESS_REQUEST, Code.STATUS_SERVER)), st.binary(max_size=500), attribute_lists)
def test_padding_changes_nothing(code: Code, padding: bytes, attributes: list[tuple[int, bytes]]) -> None:
    raw = request(code, 42, b"".join(avp(*each) for each in attributes), SECRET)

    assert parse(raw + padding, Port.AUTHENTICATION) == parse(raw, Port.AUTHENTICATION)


@given(attribute_lists)
def test_attributes_are_split_as_they_were_joined(attributes: list[tuple[int, bytes]]) -> None:
    raw = request(Code.ACCOUNTING_REQUEST, 42, b"".join(avp(*each) for each in attributes), SECRET)

    assert parsed(raw, Port.ACCOUNTING).attributes == tuple(attributes)


@pytest.mark.parametrize(
    ("code", "port"),
    [
        (Code.ACCESS_REQUEST, Port.AUTHENTICATION),
        (Code.STATUS_SERVER, Port.AUTHENTICATION),
        (Code.STATUS_SERVER, Port.ACCOUNTING),
        (Code.ACCOUNTING_REQUEST, Port.ACCOUNTING),
    ],
)
@pytest.mark.parametrize("message_authenticator", [None, True])
def test_every_request_we_build_is_authentic_to_the_holder_of_the_secret_only_p_055(
    code: Code, port: Port, message_authenticator: bool | None
) -> None:
    raw = request(code, 42, avp(1, b"bob"), SECRET, message_authenticator=message_authenticator)
    frame = parsed(raw, port)

    assert authenticate(frame, SECRET, **POLICIES["require"]) is None
    assert authenticate(frame, SECRET + b"!", **POLICIES["require"]) is not None
    assert (frame.message_authenticator_offset == 22) is not (
        code is Code.ACCOUNTING_REQUEST and message_authenticator is None
    )


def test_a_request_can_be_built_as_an_old_switch_does_without_message_authenticator() -> None:
    raw = request(Code.ACCESS_REQUEST, 42, avp(1, b"bob"), SECRET, message_authenticator=False)

    assert parsed(raw).attributes == ((1, b"bob"),)


def test_requests_have_authenticators_nobody_can_foresee() -> None:
    built = {request(Code.ACCESS_REQUEST, 42, b"", SECRET)[4:20] for _ in range(100)}

    assert len(built) == 100


@pytest.mark.parametrize("code", ACCESS_REPLIES)
@pytest.mark.parametrize("attributes", [b"", avp(18, b"no") + avp(27, bytes(4))])
def test_message_authenticator_is_the_first_attribute_of_every_access_reply(
    code: Code, attributes: bytes
) -> None:
    asked = access_request()
    answer = reply(code, asked, attributes, SECRET)

    assert kinds(answer)[0] == MESSAGE_AUTHENTICATOR
    assert isinstance(answer, bytes)
    assert answer[38:] == attributes
    assert verify_reply(answer, asked.authenticator, SECRET)


def test_an_accounting_response_has_no_message_authenticator() -> None:
    asked = parsed(request(Code.ACCOUNTING_REQUEST, 42, b"", SECRET), Port.ACCOUNTING)
    answer = reply(Code.ACCOUNTING_RESPONSE, asked, b"", SECRET)

    assert isinstance(answer, bytes)
    assert len(answer) == 20
    assert verify_reply(answer, asked.authenticator, SECRET)


@given(
    st.sampled_from((*ACCESS_REPLIES, Code.ACCOUNTING_RESPONSE)),
    st.lists(st.binary(max_size=200), max_size=8),
)
@example(Code.ACCESS_REJECT, [b"0x4142", b"65", bytes(8)])
def test_proxy_states_come_back_unmodified_and_in_order_behind_our_attributes(
    code: Code, states: list[bytes]
) -> None:
    sent = [part for state in states for part in (avp(PROXY_STATE, state), avp(1, b"between"))]
    accounting = code is Code.ACCOUNTING_RESPONSE
    asked = parsed(
        request(Code.ACCOUNTING_REQUEST if accounting else Code.ACCESS_REQUEST, 42, b"".join(sent), SECRET),
        Port.ACCOUNTING if accounting else Port.AUTHENTICATION,
    )
    answer = reply(code, asked, avp(CLASS, b"c"), SECRET)

    assert isinstance(answer, bytes)
    frame = parse_reply(answer)
    assert isinstance(frame, Frame)
    echoed = [value for kind, value in frame.attributes if kind == PROXY_STATE]
    assert echoed == states
    assert frame.attributes[-len(states) - 1] == (CLASS, b"c")


@given(st.data(), st.sampled_from((*ACCESS_REPLIES, Code.ACCOUNTING_RESPONSE)))
def test_a_reply_with_any_octet_changed_is_no_reply(data: st.DataObject, code: Code) -> None:
    asked = access_request()
    answer = reply(code, asked, avp(27, bytes(4)) + avp(18, b"hello"), SECRET)
    assert isinstance(answer, bytes)
    position = data.draw(st.integers(0, len(answer) - 1))
    forged = answer[:position] + bytes((answer[position] ^ 1,)) + answer[position + 1 :]

    assert verify_reply(answer + b"padding", asked.authenticator, SECRET)
    assert not verify_reply(forged, asked.authenticator, SECRET)
    assert not verify_reply(answer, bytes(16), SECRET)
    assert not verify_reply(answer, asked.authenticator, b"another secret")


def test_a_reply_with_a_wrong_message_authenticator_is_refused_though_its_authenticator_holds() -> None:
    asked = access_request()
    forged = sign_reply(
        Code.ACCESS_ACCEPT, 42, asked.authenticator, avp(MESSAGE_AUTHENTICATOR, bytes(16)), SECRET
    )

    assert not verify_reply(forged, asked.authenticator, SECRET)


@given(st.binary(max_size=60))
def test_no_datagram_is_too_strange_to_be_refused_as_a_reply(datagram: bytes) -> None:
    assert not verify_reply(datagram, bytes(16), SECRET)


def crowded_request(free: int) -> Frame:
    """A request whose Proxy-States leave *free* octets for the attributes of an Access reply."""
    left = PACKET_OCTETS_MAX - 20 - 18 - free
    states = []
    while left:
        size = min(left, 255) if left - 255 != 1 else 200
        states.append(avp(PROXY_STATE, bytes(size - 2)))
        left -= size
    return access_request(*states)


MESSAGE = avp(REPLY_MESSAGE, b"m" * 98)
LIMIT = avp(SESSION_TIMEOUT, bytes(4)) + avp(VENDOR_SPECIFIC, b"v" * 28)
OPTIONAL = avp(85, bytes(4))
LINK = avp(CLASS, b"c" * 14)
EVERYTHING = LIMIT + MESSAGE + OPTIONAL + LINK


@pytest.mark.parametrize(
    ("free", "kept"),
    [
        (len(EVERYTHING), [SESSION_TIMEOUT, VENDOR_SPECIFIC, REPLY_MESSAGE, 85, CLASS]),
        (len(EVERYTHING) - 1, [SESSION_TIMEOUT, VENDOR_SPECIFIC, 85, CLASS]),
        (len(LINK + LIMIT + OPTIONAL), [SESSION_TIMEOUT, VENDOR_SPECIFIC, 85, CLASS]),
        (len(LINK + LIMIT + OPTIONAL) - 1, [SESSION_TIMEOUT, VENDOR_SPECIFIC, CLASS]),
        (len(LINK + LIMIT), [SESSION_TIMEOUT, VENDOR_SPECIFIC, CLASS]),
        (len(LINK + LIMIT) - 1, [SESSION_TIMEOUT, VENDOR_SPECIFIC]),
        (len(LIMIT), [SESSION_TIMEOUT, VENDOR_SPECIFIC]),
    ],
)
def test_a_crowded_accept_loses_the_message_first_then_options_then_class(free: int, kept: list[int]) -> None:
    asked = crowded_request(free)
    answer = reply(Code.ACCESS_ACCEPT, asked, EVERYTHING, SECRET)

    assert [kind for kind in kinds(answer) if kind not in (MESSAGE_AUTHENTICATOR, PROXY_STATE)] == kept
    assert isinstance(answer, bytes)
    assert len(answer) <= PACKET_OCTETS_MAX
    assert verify_reply(answer, asked.authenticator, SECRET)
    assert kinds(answer).count(PROXY_STATE) == sum(kind == PROXY_STATE for kind, _ in asked.attributes)


def test_an_accept_is_rather_not_sent_than_sent_without_its_limit() -> None:
    asked = crowded_request(len(LIMIT) - 1)

    assert reply(Code.ACCESS_ACCEPT, asked, EVERYTHING, SECRET) is DropReason.REPLY_TOO_BIG


def test_a_crowded_reject_may_lose_everything_from_the_back() -> None:
    reason = avp(VENDOR_SPECIFIC, b"r" * 20)

    assert VENDOR_SPECIFIC in kinds(reply(Code.ACCESS_REJECT, crowded_request(22), reason + OPTIONAL, SECRET))
    assert VENDOR_SPECIFIC not in kinds(reply(Code.ACCESS_REJECT, crowded_request(21), reason, SECRET))


def test_proxy_states_that_leave_no_room_for_a_reply_get_none() -> None:
    states = avp(PROXY_STATE, bytes(253)) * 15 + avp(PROXY_STATE, bytes(249))
    asked = parsed(request(Code.ACCESS_REQUEST, 42, states, SECRET, message_authenticator=False))

    assert len(asked.raw) == PACKET_OCTETS_MAX
    assert reply(Code.ACCESS_REJECT, asked, b"", SECRET) is DropReason.REPLY_TOO_BIG
