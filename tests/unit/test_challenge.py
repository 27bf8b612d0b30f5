"""Challenges by Digest: who is asked, with which nonce, and what a response to a nonce of ours uses up."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd.challenge import NONCE_SECONDS, anew, called_for, new_nonce, nonce_age_seconds, proof_use
from radiusd.digest import METHOD, NONCE, NONCE_COUNT, QOP, REALM, RESPONSE, STALE, URI, USER_NAME, Parts
from radiusd.nas import Nas
from radiusd.wire import Code, DropReason, Port, parse, request

SECRET = b"a secret of a NAS"
NAS = Nas("gw", (), SECRET, "kamailio")
NOW = 1_000_000
SALT = b"an authenticator"
ASKED = {METHOD: b"INVITE", URI: b"sip:97226491335@example.com"}
ANSWERED = {USER_NAME: b"bob", REALM: b"example.com", **ASKED, RESPONSE: b"0" * 32}
QOP_AUTH = {QOP: b"auth", NONCE_COUNT: b"00000001"}


def answered(nonce: bytes, **changed: bytes) -> Parts:
    """Return a response with qop `auth`; *changed* are parts by their names in small letters."""
    numbers = {"count": NONCE_COUNT, "qop": QOP, "response": RESPONSE}
    return {**ANSWERED, **QOP_AUTH, NONCE: nonce} | {numbers[name]: part for name, part in changed.items()}


def told(attributes: bytes | None) -> dict[int, bytes]:
    assert attributes is not None
    frame = parse(request(Code.ACCESS_REQUEST, 1, attributes, SECRET), Port.AUTHENTICATION)
    assert not isinstance(frame, DropReason)
    return dict(frame.attributes)


def test_who_has_a_method_but_no_nonce_is_challenged_in_the_realm_he_asked() -> None:
    attributes = told(called_for(ASKED, NAS, SALT, NOW))

    assert attributes[REALM] == b"example.com"
    assert nonce_age_seconds(attributes[NONCE], SECRET, NOW) == 0
    assert STALE not in attributes


def test_a_caller_is_challenged_in_a_realm_that_his_switch_may_have_b_037() -> None:
    nas = Nas("gw", (), SECRET, "kamailio", realms=("sip.example", "example.net"))

    assert told(called_for(ASKED, nas, SALT, NOW))[REALM] == b"sip.example"
    assert told(called_for({**ASKED, REALM: b"example.net"}, nas, SALT, NOW))[REALM] == b"example.net"


def test_a_response_to_an_old_nonce_of_ours_is_to_be_made_again_b_037() -> None:
    parts = answered(new_nonce(SECRET, NOW, b"salt"))
    late = told(called_for(parts, NAS, SALT, NOW + NONCE_SECONDS + 1))

    assert called_for(parts, NAS, SALT, NOW + NONCE_SECONDS) is None
    assert late[STALE] == b"true"
    assert late[NONCE] != parts[NONCE]


def test_a_response_that_served_another_call_is_to_be_made_again_b_037() -> None:
    parts = answered(new_nonce(SECRET, NOW, b"salt"))
    again = told(anew(parts, NAS, SALT, NOW + 1))

    assert (again[STALE], again[REALM]) == (b"true", b"example.com")
    assert nonce_age_seconds(again[NONCE], SECRET, NOW + 1) == 0
    assert again[NONCE] != parts[NONCE]


def test_who_shows_no_digest_is_not_challenged() -> None:
    assert called_for({USER_NAME: b"bob"}, NAS, SALT, NOW) is None
    assert called_for({}, NAS, SALT, NOW) is None


def test_two_callers_who_are_challenged_in_one_second_do_not_use_up_each_others_nonce() -> None:
    nonces = [told(called_for(ASKED, NAS, salt, NOW))[NONCE] for salt in (b"1" * 16, b"2" * 16)]

    assert len({proof_use(answered(nonce), NAS, NOW) for nonce in nonces}) == 2


# --- what a response uses up ----------------------------------------------------------------------------


def test_a_response_uses_up_a_nonce_of_ours_and_its_count() -> None:
    nonce = new_nonce(SECRET, NOW, b"salt")
    once, again, later = (
        proof_use(answered(nonce, **changed), NAS, NOW + 1)
        for changed in ({}, {"response": b"1" * 32}, {"count": b"00000002"})
    )

    assert len(once) == 16
    assert once == again != later


def test_a_count_that_no_response_covers_makes_no_other_response_of_it() -> None:
    """Without qop it is not in the response: who overheard one could send it with counts of his own."""
    nonce = new_nonce(SECRET, NOW, b"salt")
    uses = {
        proof_use({**ANSWERED, NONCE: nonce, **counted}, NAS, NOW)
        for counted in ({}, {NONCE_COUNT: b"00000001"}, {NONCE_COUNT: b"00000002"}, {QOP: b""})
    }

    assert len(uses) == 1


@pytest.mark.parametrize(
    "parts",
    [
        {},
        ASKED,
        answered(b"84f1c1ae6cbe5ua9c8e88dfa3ecm3459"),
        answered(new_nonce(b"another secret", NOW, b"salt")),
        {**ASKED, NONCE: new_nonce(SECRET, NOW, b"salt")},
    ],
    ids=["no digest", "no response", "a nonce of the switch", "of another switch", "a nonce alone"],
)
def test_what_is_no_response_to_a_nonce_of_ours_uses_up_nothing(parts: Parts) -> None:
    assert proof_use(parts, NAS, NOW) == b""


# --- nonces ---------------------------------------------------------------------------------------------


def test_a_nonce_tells_its_age_to_whoever_has_the_secret() -> None:
    nonce = new_nonce(SECRET, NOW, b"salt")

    assert nonce_age_seconds(nonce, SECRET, NOW + 31) == 31
    assert nonce_age_seconds(nonce, b"another secret", NOW + 31) is None
    assert len({nonce, new_nonce(SECRET, NOW + 1, b"salt"), new_nonce(SECRET, NOW, b"pepper")}) == 3


@given(st.binary(max_size=64))
def test_no_octets_of_a_stranger_pass_for_a_nonce(octets: bytes) -> None:
    assert nonce_age_seconds(octets, SECRET, 5) is None


@pytest.mark.parametrize(
    "signed", [b"not a number" + b"0" * 14, b"+00000000a" + b"0" * 16, b"", b"\xff" * 26]
)
def test_what_is_no_nonce_is_none_though_it_is_signed(signed: bytes) -> None:
    signature = hmac.digest(SECRET, b"nonce" + signed, "sha256")[:11].hex().encode()

    assert nonce_age_seconds(signed + signature, SECRET, NOW) is None
