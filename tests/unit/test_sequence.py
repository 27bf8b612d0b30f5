"""Devices that number their records: what never came, and what came late."""

from collections import Counter as Tally

from hypothesis import given
from hypothesis import strategies as st

from radiusd.sequence import LATE, MISSING, RESTARTED, Sequences


def counted(*numbers: int, device: str = "sbc-1") -> dict[str, int]:
    sequences, total = Sequences(), Tally[str]()
    for number in numbers:
        total += sequences.note("gw", device, number)
    return dict(total)


def test_numbers_without_a_gap_are_nothing_to_tell() -> None:
    assert counted(41, 42, 43) == {}


def test_the_first_number_is_where_the_count_begins() -> None:
    assert counted(900_000) == {}


def test_every_number_in_a_gap_is_missing() -> None:
    assert counted(1, 2, 6) == {MISSING: 3}


def test_a_late_record_closes_its_gap_once() -> None:
    assert counted(1, 4, 2, 2) == {MISSING: 2, LATE: 1}


def test_a_repetition_is_neither_missing_nor_late() -> None:
    assert counted(1, 2, 2, 1) == {}


def test_a_device_that_begins_anew_lost_nothing() -> None:
    assert counted(5000, 1, 2) == {RESTARTED: 1}


def test_each_device_counts_for_itself() -> None:
    sequences = Sequences()
    sequences.note("gw", "sbc-1", 10)

    assert not sequences.note("gw", "sbc-2", 20)
    assert not sequences.note("other", "sbc-1", 30)
    assert sequences.note("gw", "sbc-1", 12) == {MISSING: 1}


def test_devices_that_come_and_go_do_not_fill_the_memory() -> None:
    sequences = Sequences()
    for device in range(3000):
        sequences.note("gw", f"sbc-{device}", 1)

    # The oldest was forgotten, so its next number is a first one again.
    assert not sequences.note("gw", "sbc-0", 9)
    assert sequences.note("gw", "sbc-2999", 3) == {MISSING: 1}


@given(st.permutations(range(1, 30)))
def test_in_any_order_what_is_missing_in_the_end_is_what_never_came(order: list[int]) -> None:
    lost = order[-1]
    found = counted(0, *order[:-1])
    highest = max([0, *order[:-1]])

    assert found.get(MISSING, 0) - found.get(LATE, 0) == (1 if lost < highest else 0)
