"""Challenges by Digest: who is asked, with which nonce, and what a nonce of ours is good for."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd.challenge import NONCE_SECONDS, Challenges, new_nonce, nonce_age_seconds
from radiusd.digest import METHOD, NONCE, NONCE_COUNT, REALM, RESPONSE, STALE, URI, USER_NAME, attribute
from radiusd.nas import Nas
from radiusd.wire import Code, DropReason, Frame, Port, parse, request

SECRET = b"a secret of a NAS"
NAS = Nas("gw", (), SECRET, "kamailio")
NOW = 1_000_000
ONE, OTHER = b"one call", b"another call"
ASKED = {METHOD: b"INVITE", URI: b"sip:97226491335@example.com"}


def asking(parts: dict[int, bytes]) -> Frame:
    octets = b"".join(attribute(kind, value) for kind, value in parts.items())
    frame = parse(request(Code.ACCESS_REQUEST, 7, octets, SECRET), Port.AUTHENTICATION)
    assert not isinstance(frame, DropReason)
    return frame


def answered(nonce: bytes, count: bytes = b"00000001") -> Frame:
    parts = {USER_NAME: b"bob", REALM: b"example.com", **ASKED}
    return asking({**parts, NONCE: nonce, NONCE_COUNT: count, RESPONSE: b"0" * 32})


def told(attributes: bytes | None) -> dict[int, bytes]:
    assert attributes is not None
    frame = parse(request(Code.ACCESS_REQUEST, 1, attributes, SECRET), Port.AUTHENTICATION)
    assert not isinstance(frame, DropReason)
    return dict(frame.attributes)


def test_who_has_a_method_but_no_nonce_is_challenged_in_the_realm_he_asked() -> None:
    attributes = told(Challenges().attributes(asking(ASKED), NAS, ONE, NOW))

    assert attributes[REALM] == b"example.com"
    assert nonce_age_seconds(attributes[NONCE], SECRET, NOW) == 0
    assert STALE not in attributes


def test_a_caller_is_challenged_in_a_realm_that_his_switch_may_have_b_037() -> None:
    nas = Nas("gw", (), SECRET, "kamailio", realms=("sip.example", "example.net"))
    asked = {**ASKED, REALM: b"example.net"}

    assert told(Challenges().attributes(asking(ASKED), nas, ONE, NOW))[REALM] == b"sip.example"
    assert told(Challenges().attributes(asking(asked), nas, ONE, NOW))[REALM] == b"example.net"


def test_a_response_to_an_old_nonce_of_ours_is_to_be_made_again_b_037() -> None:
    nonce = new_nonce(SECRET, NOW, b"salt")
    late = Challenges().attributes(answered(nonce), NAS, ONE, NOW + NONCE_SECONDS + 1)

    assert Challenges().attributes(answered(nonce), NAS, ONE, NOW + NONCE_SECONDS) is None
    assert told(late)[STALE] == b"true"
    assert told(late)[NONCE] != nonce


def test_a_nonce_of_the_switch_is_its_own_affair() -> None:
    challenges = Challenges()
    frame = answered(b"84f1c1ae6cbe5ua9c8e88dfa3ecm3459")

    assert [challenges.attributes(frame, NAS, call, NOW) for call in (ONE, ONE, OTHER)] == [None] * 3
    assert len(challenges) == 0


def test_who_shows_no_digest_is_not_challenged() -> None:
    assert Challenges().attributes(asking({USER_NAME: b"bob"}), NAS, ONE, NOW) is None


# --- a response is good for one call --------------------------------------------------------------------


def test_a_response_that_comes_again_for_another_call_is_to_be_made_anew_b_037() -> None:
    challenges = Challenges()
    nonce = new_nonce(SECRET, NOW, b"salt")
    first, replayed = (challenges.attributes(answered(nonce), NAS, call, NOW + 1) for call in (ONE, OTHER))

    assert first is None
    assert told(replayed)[STALE] == b"true"
    assert told(replayed)[NONCE] != nonce


@pytest.mark.parametrize(("call", "count"), [(ONE, b"00000001"), (OTHER, b"00000002"), (ONE, b"00000002")])
def test_the_same_call_may_be_asked_about_again_and_each_further_count_is_good_for_another(
    call: bytes, count: bytes
) -> None:
    challenges = Challenges()
    nonce = new_nonce(SECRET, NOW, b"salt")

    assert challenges.attributes(answered(nonce), NAS, ONE, NOW) is None
    assert challenges.attributes(answered(nonce, count), NAS, call, NOW + 1) is None


def test_two_callers_who_are_challenged_in_one_second_do_not_use_up_each_others_nonce() -> None:
    challenges = Challenges()
    nonces = [told(challenges.attributes(asking(ASKED), NAS, call, NOW))[NONCE] for call in (ONE, OTHER)]
    pairs = zip(nonces, (ONE, OTHER), strict=True)

    assert [challenges.attributes(answered(nonce), NAS, call, NOW) for nonce, call in pairs] == [None, None]


def test_what_is_forgotten_for_want_of_room_is_not_believed_again() -> None:
    challenges = Challenges(uses_max=3)
    nonces = [new_nonce(SECRET, NOW + place, b"salt") for place in range(6)]
    for nonce in nonces:
        assert challenges.attributes(answered(nonce), NAS, ONE, NOW + 5) is None
    again = [challenges.attributes(answered(nonce), NAS, OTHER, NOW + 5) for nonce in nonces]
    fresh = new_nonce(SECRET, NOW + 5, b"more salt")

    assert len(challenges) <= 3
    assert None not in again
    assert challenges.attributes(answered(fresh), NAS, OTHER, NOW + 5) is None


def test_uses_of_old_nonces_are_forgotten() -> None:
    challenges = Challenges()
    for second in range(NOW, NOW + 1000):
        challenges.attributes(answered(new_nonce(SECRET, second, b"salt")), NAS, ONE, second)

    assert len(challenges) <= NONCE_SECONDS + 1


def test_a_clock_that_steps_back_makes_no_new_nonce_an_old_one() -> None:
    challenges = Challenges(uses_max=1)
    for salt in (b"1", b"2", b"3"):
        challenges.attributes(answered(new_nonce(SECRET, NOW, salt)), NAS, ONE, NOW)
    before = NOW - 3600

    assert challenges.attributes(answered(new_nonce(SECRET, before, b"4")), NAS, ONE, before) is None


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
