"""Finding the rate of a number: what is compiled finds the same as who reads the whole list."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from calls import NOON, rate
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core import rate_table as module
from billing_core.money import Rounding
from billing_core.rate_table import Rate, rate_table

DAYS = [None, None, None, *(NOON + timedelta(days=day) for day in range(4))]
PROFILES = [None, None, "night", "peak"]


def _rates() -> st.SearchStrategy[list[Rate]]:
    """Return price lists in which everything meets: few codes, dates, profiles and lengths, any order."""
    one = st.builds(
        lambda code, **fields: rate("1/min 1/1", code, **fields),
        st.text("12", min_size=1, max_size=4),
        effective_from=st.sampled_from(DAYS),
        end_date=st.sampled_from(DAYS),
        time_profile=st.sampled_from(PROFILES),
        number_length_min=st.sampled_from([0, 0, 0, 4]),
        number_length_max=st.sampled_from([0, 0, 0, 5]),
        blocked=st.booleans(),
    )
    return st.lists(
        one,
        min_size=5,
        max_size=30,
        unique_by=lambda item: (item.code, item.effective_from, item.time_profile),
    )


def _naive(
    rates: Sequence[Rate], number: str, at: datetime, profiles: Collection[str], longer_than: int
) -> Rate | None:
    """Find a rate as the manual says, by reading the whole list for every question."""
    for length in range(len(number), longer_than, -1):
        own = [item for item in rates if item.code == number[:length] and item.fits(len(number))]
        in_force = {}
        for profile in PROFILES:
            begun = [item for item in own if item.time_profile == profile and item.has_begun(at)]
            if begun:
                last = max(begun, key=lambda item: item.effective_from or datetime.min.replace(tzinfo=UTC))
                if not last.has_ended(at):
                    in_force[profile] = last
        if usable := [item for profile, item in in_force.items() if profile in profiles]:
            newest = max(item.effective_from or datetime.min.replace(tzinfo=UTC) for item in usable)
            return min(
                (
                    item
                    for item in usable
                    if (item.effective_from or datetime.min.replace(tzinfo=UTC)) == newest
                ),
                key=lambda item: item.time_profile or "",
            )
        if None in in_force:
            return in_force[None]
    return None


@given(
    _rates(),
    st.text("12", min_size=3, max_size=7),
    st.integers(-1, 9),
    st.sets(st.sampled_from(["night", "peak"])),
    st.integers(0, 4),
)
@settings(max_examples=300)
def test_a_table_finds_what_the_naive_search_finds(rates, number, half_days, profiles, longer_than):
    table = rate_table(1, "x", "USD", rates)
    at = NOON + timedelta(days=half_days / 2)
    expected = _naive(rates, number, at, profiles, longer_than)

    for _ in range(2):  # The second time from what is at hand.
        assert table.find(number, at, profiles, longer_than=longer_than) == expected


@given(st.permutations(range(6)))
def test_the_order_of_the_list_does_not_matter(order):
    rates = [
        rate("1/min 1/1", "44", effective_from=day, time_profile=profile)
        for day in DAYS[2:4]
        for profile in PROFILES[1:]
    ]
    table = rate_table(1, "x", "USD", [rates[place] for place in order])

    assert table.find("441", NOON, ["night", "peak"]).time_profile == "night"


def test_a_rate_is_rounded_as_its_table_says():
    rounding = Rounding(2, "down", "half_up")

    assert (
        rate_table(1, "x", "USD", [rate("1/min 1/1")], rounding=rounding).find("44", NOON).rounding
        == rounding
    )


def test_what_is_at_hand_is_bounded_and_never_wrong(monkeypatch):
    monkeypatch.setattr(module, "_RECENT_MAX", 3)
    prices = {str(code): Decimal(code) for code in range(10, 30)}
    table = rate_table(1, "x", "USD", [rate(f"{price}/min 1/1", code) for code, price in prices.items()])

    for code, price in [*prices.items()] * 2:
        assert table.find(f"{code}000", NOON).price_per_minute == price
        assert len(table._recent) <= 3


def test_the_longest_code_in_force_wins():
    table = rate_table(1, "x", "USD", [rate("1/min 1/1", code) for code in ("4", "44", "4420")])

    numbers = ["442071234567", "441111234567", "431234567", "44"]
    assert [table.find(number, NOON).code for number in numbers] == ["4420", "44", "4", "44"]


@pytest.mark.parametrize("number", ["", "4", "5", "+44", "٤٤", "4\N{COMBINING ACUTE ACCENT}4"])
def test_a_number_that_no_code_fits_has_no_rate(number):
    assert rate_table(1, "x", "USD", [rate("1/min 1/1")]).find(number, NOON) is None


def test_an_empty_table_has_no_rate():
    assert rate_table(1, "x", "USD", []).find("442071234567", NOON) is None
