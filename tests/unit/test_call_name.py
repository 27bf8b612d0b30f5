"""Names of calls: one GUID is one name, however a switch writes it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.authorization import AuthorizationRequest
from billing_core.call_name import call_name, is_own_name, older_name
from billing_core.report import Report
from billing_core.session import Leg, leg_key
from radiusd.codec import encode
from radiusd.dialects.packed_call import packed_field
from radiusd.dialects.reading import accounting, authorization_request
from radiusd.nas import Nas, network
from radiusd.wire import Code, Frame

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GUID = "00016000647bee1d080f000af453dbfd"


@pytest.mark.parametrize(
    "text",
    [
        GUID,
        GUID.upper(),
        "00016000 647BEE1D 080F000A F453DBFD",
        "16000 647BEE1D 80F000A F453DBFD",
        "00016000-647b-ee1d-080f-000af453dbfd",
    ],
)
def test_a_guid_has_one_name_however_it_is_written(text: str) -> None:
    assert call_name(text) == GUID
    assert not is_own_name(text, GUID)


@pytest.mark.parametrize(
    "text", ["16000 647BEE1D 80F000A", "16000 647BEE1D 80F000A 1234567890", "1-2-3-4", "a b c x", ""]
)
def test_what_is_no_guid_stays_as_it_is(text: str) -> None:
    assert call_name(text) == text
    assert older_name(text) is None


@given(st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4))
def test_groups_name_the_same_call_with_and_without_leading_zeros(groups: list[int]) -> None:
    short, full = (" ".join(f"{group:{form}}" for group in groups) for form in ("X", "08X"))

    assert call_name(short) == call_name(full) == "".join(f"{group:08x}" for group in groups)
    assert older_name(short) == (None if short == full else short)
    assert older_name(full) is None


def test_a_session_id_that_is_the_call_id_again_is_no_name_of_its_own() -> None:
    assert is_own_name("00000A1F", GUID)
    assert not is_own_name("5f1c@198.51.100.7", "5f1c@198.51.100.7")
    assert not is_own_name("", GUID)


def read(dialect: str, code: Code, *octets: bytes) -> Report | AuthorizationRequest:
    nas = Nas("gw", (network("192.0.2.1"),), b"0123456789abcdef", dialect)
    pairs = tuple((attribute[0], attribute[2:]) for attribute in octets)
    frame = Frame(code, 1, bytes(16), b"", pairs, None)
    if code is Code.ACCESS_REQUEST:
        return authorization_request(frame, nas, "192.0.2.1")
    report = accounting(frame, nas, "192.0.2.1", NOW)
    assert isinstance(report, Report)
    return report


def test_a_call_under_way_through_an_upgrade_is_found_by_its_older_name() -> None:
    short = "16000 647BEE1D 80F000A F453DBFD"
    report = read(
        "cisco",
        Code.ACCOUNTING_REQUEST,
        encode("Acct-Status-Type", 2),
        encode("Acct-Session-Id", "1"),
        encode("h323-conf-id", f"h323-conf-id={short}"),
    )

    assert isinstance(report, Report)
    names = (GUID, short, "1")
    assert report.leg_keys == tuple(leg_key("gw", name, Leg.ORIGINATION) for name in names)


@pytest.mark.parametrize("call_id", ["cf4f5b8a-7d9c-4c0b-8d53-6a2f0e5c9d11", "5f1c@198.51.100.7"])
def test_a_caller_who_chooses_a_guid_for_its_call_id_tells_no_conversation_by_it(call_id: str) -> None:
    named = encode("Acct-Session-Id", call_id)

    for found in (
        read("kamailio", Code.ACCESS_REQUEST, named, encode("Called-Station-Id", "44")),
        read("kamailio", Code.ACCOUNTING_REQUEST, named, encode("Acct-Status-Type", 2)),
    ):
        assert (found.call_id, found.session_id) == (call_name(call_id), call_id)
        assert found.own_session_id == ""


def test_a_session_id_of_a_gateway_tells_a_conversation() -> None:
    conference = encode("h323-conf-id", f"h323-conf-id={GUID}")

    for found in (
        read("cisco", Code.ACCESS_REQUEST, conference, encode("Acct-Session-Id", "A1")),
        read(
            "cisco",
            Code.ACCOUNTING_REQUEST,
            conference,
            encode("Acct-Session-Id", "A1"),
            encode("Acct-Status-Type", 2),
        ),
    ):
        assert found.own_session_id == "A1"


PACKED = "0000A20F/10:46:02.356 UTC Mon Nov 23 2026/gw/16000 647BEE1D 80F000A F453DBFD/answer//"


@pytest.mark.parametrize(
    ("text", "number", "field"),
    [
        (PACKED, 1, "0000A20F"),
        (PACKED, 4, "16000 647BEE1D 80F000A F453DBFD"),
        (PACKED, 5, "answer"),
        (PACKED, 6, None),
        (PACKED, 8, None),
        ("0000A20F/x/gw", 1, None),
        (PACKED.replace("0000A20F", "call@host"), 1, None),
        (PACKED.replace("16000", "no-guid"), 1, None),
    ],
)
def test_a_field_is_unpacked_only_from_a_packed_call(text: str, number: int, field: str | None) -> None:
    assert packed_field(text, number) == field
