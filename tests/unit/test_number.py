"""One rule makes all numbers comparable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.number import normalise

NUMBERS = {
    "442071234567": "442071234567",
    "+442071234567": "442071234567",
    "00442071234567": "442071234567",
    "*100#": "*100#",
    "0": "0",
    "++44": None,
    "+0044": "0044",
    "": None,
    "+": None,
    "00": None,
    "44 20": None,
    "44\n": None,
    "\uff14\uff14": None,
    "alice": None,
    "44-20": None,
}


@pytest.mark.parametrize(("written", "compared"), NUMBERS.items())
def test_a_number_loses_one_prefix_and_holds_only_dialled_characters(written, compared):
    assert normalise(written) == compared


@given(st.text("123456789*#", min_size=1))
def test_a_number_is_the_same_with_and_without_its_prefix(digits):
    assert {normalise(digits), normalise("+" + digits), normalise("00" + digits)} == {digits}


@given(st.text())
def test_what_is_normalised_is_made_of_dialled_characters(text):
    assert set(normalise(text) or "") <= set("0123456789*#")
