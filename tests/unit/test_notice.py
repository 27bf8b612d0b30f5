"""Low balances: who is told, when, and when again."""

from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
from calls import ALICE, NOON
from hypothesis import given
from hypothesis import strategies as st

from billing_core.balance import Balance
from billing_core.client import Client, Status
from billing_core.notice import BITS, Audience, followed, noticed, rearming_value

TEN = replace(ALICE, notify_client=Decimal(10))
BOTH = replace(ALICE, notify_client=Decimal(10), notify_admin=Decimal(5))


def told(client: Client, *lives: str, payments: tuple[int, ...] = ()) -> list[tuple[int, str]]:
    """Let the balance go through these amounts; return at which step whom a notice went to.

    The steps numbered in *payments* are payments.
    """
    balance = Balance(Decimal(lives[0]))
    found = []
    for step, live in enumerate(lives):
        after = balance._replace(live=Decimal(live))
        balance, notices = followed(client, balance, after, NOON, is_payment=step in payments)
        found += [(step, notice.audience.value) for notice in notices]
    return found


def test_exactly_the_value_is_not_below_it() -> None:
    assert told(TEN, "10") == []
    assert told(TEN, "9.999999") == [(0, "client")]


def test_the_allowed_credit_counts() -> None:
    assert told(replace(TEN, credit=Decimal(8)), "3", "2", "1.99") == [(2, "client")]


def test_client_and_admin_are_told_each_at_his_own_value() -> None:
    assert told(BOTH, "20", "9", "4") == [(1, "client"), (2, "admin")]
    assert told(BOTH, "20", "4") == [(1, "client"), (1, "admin")]


@pytest.mark.parametrize(
    "client", [ALICE, replace(BOTH, postpaid=True), replace(BOTH, status=Status.DELETED)]
)
def test_nobody_is_told_whose_value_is_off_or_whose_client_is_postpaid_or_deleted(client: Client) -> None:
    assert told(client, "20", "-20") == []


def test_a_client_who_is_stopped_is_told_so_that_he_can_pay() -> None:
    assert told(replace(TEN, status=Status.STOP), "20", "9") == [(1, "client")]


@pytest.mark.parametrize(("value", "again"), [("10", "11.0"), ("0.5", "0.55"), ("-10", "-9.0"), ("0", "1")])
def test_money_must_clearly_rise_before_somebody_is_told_again(value: str, again: str) -> None:
    client = replace(ALICE, notify_client=Decimal(value))
    below, almost = str(Decimal(value) - 1), str(Decimal(again) - Decimal("0.000001"))

    assert rearming_value(Decimal(value)) == Decimal(again)
    assert told(client, below, value, almost, below) == [(0, "client")]
    assert told(client, below, again, below) == [(0, "client"), (2, "client")]


def test_after_a_payment_that_reaches_the_value_somebody_is_told_again() -> None:
    assert told(TEN, "9", "10", "9", payments=(1,)) == [(0, "client"), (2, "client")]
    assert told(TEN, "9", "9.99", "9", payments=(1,)) == [(0, "client")]


def test_other_settings_count_from_the_next_change_on() -> None:
    balance, notices = noticed(TEN, Balance(Decimal(9)), NOON)
    higher = replace(TEN, credit=Decimal(100))
    after, again = followed(higher, balance, balance._replace(live=Decimal(-95)), NOON)

    assert len(notices) == len(again) == 1, "with more credit the money had risen before it fell"
    assert noticed(replace(TEN, notify_client=None), after, NOON) == (after._replace(warned=0), [])


def test_what_is_told_is_exact() -> None:
    _, (notice,) = noticed(replace(TEN, credit=Decimal("0.50")), Balance(Decimal("1E+1") - 5), NOON)

    assert orjson.loads(notice.facts()) == {
        "notify": "client",
        "client": "Alice Telecom",
        "currency": "USD",
        "value": "10",
        "available": "5.50",
        "live": "5",
        "credit": "0.50",
    }


def test_every_audience_has_a_bit_of_its_own() -> None:
    assert set(BITS) == set(Audience)
    assert sorted(BITS.values()) == [1, 2]


money = st.decimals(-30, 30, places=2)
steps = st.lists(st.tuples(money, st.booleans()), min_size=1, max_size=40)


@given(steps, st.decimals(-20, 20, places=1), st.decimals(-5, 5, places=1))
def test_notices_are_the_crossings_that_a_clerk_counts_with_a_pencil(
    walk: list[tuple[Decimal, bool]], value: Decimal, credit: Decimal
) -> None:
    client = replace(ALICE, notify_admin=value, credit=credit)
    armed, expected = True, []
    for step, (live, is_payment) in enumerate(walk):
        money = live + credit
        if armed and money < value:
            armed = False
            expected.append((step, "admin"))
        elif money * 10 >= value * 10 + (abs(value) or 10) or (is_payment and money >= value):
            armed = True

    payments = tuple(step for step, (_, is_payment) in enumerate(walk) if is_payment)

    assert told(client, *(str(live) for live, _ in walk), payments=payments) == expected


@given(st.lists(st.decimals("-5", "10.99", places=2), max_size=40))
def test_money_that_moves_to_and_fro_around_a_value_tells_nobody_twice(walk: list[Decimal]) -> None:
    assert len(told(TEN, "20", *map(str, walk))) <= 1


@given(steps)
def test_the_two_audiences_do_not_disturb_each_other(walk: list[tuple[Decimal, bool]]) -> None:
    payments = tuple(step for step, (_, is_payment) in enumerate(walk) if is_payment)
    lives = [str(live) for live, _ in walk]

    apart = [
        *told(replace(BOTH, notify_admin=None), *lives, payments=payments),
        *told(replace(BOTH, notify_client=None), *lives, payments=payments),
    ]

    assert sorted(told(BOTH, *lives, payments=payments)) == sorted(apart)
