"""What bars a call that could be paid: blocks and their ends, dear codes, losses, and the dearest call."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, VENDOR, VENDOR_ACCOUNT, at, catalogue, rate, request

from billing_core.authorization import Authorized, Candidate, Denied, decide, identify
from billing_core.balance import Balance
from billing_core.block import Block, BlockKind, blocks
from billing_core.client import Account, Client
from billing_core.denial import Denial
from billing_core.exchange import ExchangeRate, exchange
from billing_core.limits import Limits

LONDON = "442071234567"


def identified(
    client: Client = ALICE,
    account: Account = ALICE_ACCOUNT,
    barred: tuple[Block, ...] = (),
    now: Any = NOON,
    sold: str = "0.60/min 1/1",
    bought: str = "0.30/min 1/1",
    **asked: Any,
) -> Candidate | Denied:
    definitions = catalogue(
        (client, [account]), (VENDOR, [VENDOR_ACCOUNT]), sold=[rate(sold)], bought=[rate(bought)]
    )
    definitions.blocks = blocks(barred)
    return identify(request(**asked), definitions, now)


def is_blocked(outcome: Candidate | Denied) -> bool:
    return isinstance(outcome, Denied) and outcome.reason is Denial.BLOCKED


# --- blocks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (BlockKind.NUMBER, LONDON),
        (BlockKind.NUMBER, f"+{LONDON}"),
        (BlockKind.NUMBER, "001222333"),
        (BlockKind.CODE, "4420"),
        (BlockKind.CODE, "+44"),
        (BlockKind.CODE, LONDON),
        (BlockKind.ACCOUNT, "alice"),
        (BlockKind.CLIENT, "Alice Telecom"),
    ],
)
def test_a_block_bars_the_calls_it_names(kind: BlockKind, value: str) -> None:
    outcome = identified(barred=(Block(kind, value, reason="fraud"),))

    assert is_blocked(outcome)
    assert isinstance(outcome, Denied)
    assert outcome.because == f"{kind.value} {value} is blocked: fraud"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (BlockKind.NUMBER, "4420"),
        (BlockKind.CODE, "4421"),
        (BlockKind.CODE, LONDON + "8"),
        (BlockKind.CODE, "1222"),
        (BlockKind.ACCOUNT, "Alice Telecom"),
        (BlockKind.CLIENT, "alice"),
        (BlockKind.CLIENT, LONDON),
    ],
)
def test_a_block_bars_no_other_calls(kind: BlockKind, value: str) -> None:
    assert isinstance(identified(barred=(Block(kind, value),)), Candidate)


def test_a_block_is_over_at_its_end() -> None:
    block = Block(BlockKind.CODE, "44", expires_at=at(60))

    assert is_blocked(identified(barred=(block,), now=at(59)))
    assert isinstance(identified(barred=(block,), now=at(60)), Candidate)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_blocks_the_longest_counts(order: int) -> None:
    short, long = (Block(BlockKind.CODE, code, at(seconds)) for code, seconds in (("44", 60), ("+44", 90)))
    endless = Block(BlockKind.CODE, "44")

    assert is_blocked(identified(barred=(short, long)[::order], now=at(70)))
    assert is_blocked(identified(barred=(short, endless)[::order], now=at(70)))


def test_a_long_blocked_code_holds_beside_a_short_one_that_is_over() -> None:
    over, holds = Block(BlockKind.CODE, "44", at(-1)), Block(BlockKind.CODE, "4420")

    assert is_blocked(identified(barred=(over, holds)))


def test_a_number_is_barred_as_it_is_without_the_tech_prefix() -> None:
    account = replace(ALICE_ACCOUNT, tech_prefix="77")

    assert is_blocked(
        identified(account=account, called=f"77{LONDON}", barred=(Block(BlockKind.NUMBER, LONDON),))
    )


def test_a_blocked_call_is_told_from_one_without_a_rate() -> None:
    outcome = identified(called="7095", barred=(Block(BlockKind.CODE, "7"),))

    assert is_blocked(outcome)


def test_who_is_not_who_he_says_learns_nothing_of_blocks() -> None:
    outcome = identified(name="nobody", barred=(Block(BlockKind.CODE, "44"),))

    assert isinstance(outcome, Denied)
    assert outcome.reason is Denial.UNKNOWN_ACCOUNT


# --- prices -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("highest", "blocked"), [("0.59", True), ("0.60", False), (None, False)])
def test_a_price_above_the_accounts_maximum_is_refused(highest: str | None, blocked: bool) -> None:
    account = replace(ALICE_ACCOUNT, price_per_minute_max=Decimal(highest) if highest else None)

    assert is_blocked(identified(account=account)) is blocked


def test_the_accounts_maximum_is_in_the_clients_currency() -> None:
    account = replace(ALICE_ACCOUNT, price_per_minute_max=Decimal("0.60"))
    client = replace(ALICE, currency="EUR")
    definitions = catalogue((client, [account]), sold=[rate("0.60/min 1/1")])
    definitions.exchange = exchange([ExchangeRate("USD", "EUR", Decimal("1.1"), at(-1))])

    outcome = identify(request(), definitions, NOON)

    assert isinstance(outcome, Denied)
    assert outcome.because == "0.660 a minute is above the account's maximum of 0.60"


CAREFUL = replace(ALICE, refuse_losses=True)
TO_VENDOR = {"termination_address": "203.0.113.20"}


@pytest.mark.parametrize(
    ("client", "bought", "asked", "blocked"),
    [
        (CAREFUL, "0.61/min 1/1", TO_VENDOR, True),
        (CAREFUL, "0.60/min 1/1", TO_VENDOR, False),
        (ALICE, "0.61/min 1/1", TO_VENDOR, False),
        (CAREFUL, "0.61/min 1/1", {}, False),
        (CAREFUL, "0.61/min 1/1", {"termination_address": "203.0.113.99"}, False),
    ],
)
def test_a_call_that_would_cost_more_than_it_brings_is_refused(
    client: Client, bought: str, asked: dict[str, Any], blocked: bool
) -> None:
    assert is_blocked(identified(client=client, bought=bought, **asked)) is blocked


def test_a_vendor_without_a_rate_for_the_number_bars_nothing() -> None:
    definitions = catalogue((CAREFUL, [ALICE_ACCOUNT]), (VENDOR, [VENDOR_ACCOUNT]), bought=[])

    assert isinstance(identify(request(**TO_VENDOR), definitions, NOON), Candidate)


def test_a_loss_is_found_across_currencies() -> None:
    vendor = replace(VENDOR, currency="EUR")
    definitions = catalogue(
        (CAREFUL, [ALICE_ACCOUNT]),
        (vendor, [VENDOR_ACCOUNT]),
        sold=[rate("0.60/min 1/1")],
        bought=[rate("0.55/min 1/1")],
    )
    # What is bought for 0.55 USD the vendor is paid in EUR; back in USD it is 0.55 x 0.9 x 1.25 = 0.61875.
    definitions.exchange = exchange(
        [
            ExchangeRate("USD", "EUR", Decimal("0.9"), NOON - timedelta(days=1)),
            ExchangeRate("EUR", "USD", Decimal("1.25"), NOON - timedelta(days=1)),
        ]
    )

    outcome = identify(request(**TO_VENDOR), definitions, NOON)

    assert isinstance(outcome, Denied)
    assert outcome.because == "0.60 a minute is below the vendor's 0.61875"


# --- the dearest call -------------------------------------------------------------------------------


def granted(client: Client, live: str) -> Authorized | Denied:
    found = identified(client=client)
    assert isinstance(found, Candidate)
    return decide(found, Balance(live=Decimal(live)), {}, None, Limits(), NOON)


def test_no_call_may_cost_more_than_charge_max() -> None:
    outcome = granted(replace(ALICE, charge_max=Decimal(2)), live="10")

    assert isinstance(outcome, Authorized)
    assert (outcome.credit_time_seconds, outcome.reserved) == (200, 2)


def test_charge_max_also_limits_who_pays_later() -> None:
    outcome = granted(replace(ALICE, charge_max=Decimal(2), postpaid=True), live="-50")

    assert isinstance(outcome, Authorized)
    assert outcome.credit_time_seconds == 200


def test_little_money_counts_before_charge_max() -> None:
    outcome = granted(replace(ALICE, charge_max=Decimal(2)), live="1")

    assert isinstance(outcome, Authorized)
    assert outcome.credit_time_seconds == 100


@pytest.mark.parametrize("postpaid", [False, True])
def test_a_charge_max_below_the_first_interval_is_too_little(postpaid: bool) -> None:
    outcome = granted(replace(ALICE, charge_max=Decimal("0.009"), postpaid=postpaid), live="10")

    assert isinstance(outcome, Denied)
    assert outcome.reason is Denial.TOO_LITTLE
