"""The Class of an Accept names its leg, for the switch that it was given to and for no other."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd.nas import Nas, network
from radiusd.session_class import class_of, linked_leg

KEY = bytes(range(16))


def nas(secret: bytes = b"0123456789abcdef") -> Nas:
    return Nas("gw1", (network("10.0.0.1"),), secret, "cisco")


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**24 - 1))
def test_a_class_comes_back_as_its_leg_and_is_text_that_any_switch_hands_back(key, generation):
    given_out = class_of((key, generation), nas())

    assert linked_leg([given_out], nas()) == (key, generation)
    assert given_out.decode("ascii").isprintable()
    assert b" " not in given_out
    # RFC 2865 section 5.25: some switches have room for no more.
    assert len(given_out) == 32


def test_a_class_of_the_version_before_names_a_leg_without_its_generation():
    octets = b"L1" + KEY + hmac.digest(nas().signing_key, b"L1" + KEY, "sha256")[:8]

    assert linked_leg([octets], nas()) == (KEY, None)


@pytest.mark.parametrize(
    "value", [b"", b"L2", b"L1", b"!" * 32, b"A" * 32, b"L1" + bytes(24), b"L3" + bytes(24), b"\xff" * 32]
)
def test_what_we_did_not_sign_names_no_leg(value):
    assert linked_leg([value], nas()) is None


@pytest.mark.parametrize("place", range(32))
def test_a_class_that_was_changed_names_no_leg(place):
    given_out = bytearray(class_of((KEY, 1), nas()))
    given_out[place] = ord("B") if given_out[place] == ord("A") else ord("A")

    assert linked_leg([bytes(given_out)], nas()) is None


def test_another_switch_cannot_name_the_leg_and_the_first_that_is_ours_counts():
    others, ours = class_of((KEY, 1), nas(b"another secret 16")), class_of((KEY, 2), nas())

    assert linked_leg([others], nas()) is None
    assert linked_leg([b"of somebody", others, ours, class_of((KEY, 3), nas())], nas()) == (KEY, 2)
