"""Which rate a call gets: by number, moment, time profile, parent tables and currency."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import calls
import pytest
from calls import ALICE, NOON, at

from billing_core.catalogue import Catalogue
from billing_core.exchange import ExchangeRate, exchange
from billing_core.money import Rounding
from billing_core.rate_table import Rate, rate_table
from billing_core.time_profile import Span, TimeProfile

WEEKDAYS = frozenset(range(5))
EVERY_DAY = frozenset(range(7))
PROFILES = {
    "peak": TimeProfile("peak", (Span(WEEKDAYS, 8 * 60, 18 * 60),)),
    "night": TimeProfile("night", (Span(EVERY_DAY, 22 * 60, 6 * 60),)),
}
BERLINER = replace(ALICE, timezone=ZoneInfo("Europe/Berlin"))
TABLES = {"Retail": (1, 2), "Wholesale": (2, 3), "World": (3, None)}


def _vector_rate(cells: list[str]) -> Rate:
    code, price, begin, end, profile, digits, blocked = cells
    shortest, _, longest = digits.partition("-")
    return calls.rate(
        f"{price}/min 1/1",
        code,
        effective_from=datetime.fromisoformat(begin) if begin else None,
        end_date=datetime.fromisoformat(end) if end else None,
        time_profile=profile or None,
        number_length_min=int(shortest or 0),
        number_length_max=int(longest or 0),
        blocked=blocked == "blocked",
    )


@pytest.fixture(scope="module")
def price_lists() -> Catalogue:
    made = Catalogue()
    made.time_profiles = PROFILES
    written = [cells[1:] for cells in calls.rows("rates.txt") if cells[0] == "rate"]
    for name, (id, parent_id) in TABLES.items():
        rates = [_vector_rate(cells) for table, *cells in written if table == name]
        # Each table rounds its own way, so that it can be told whose rounding holds.
        made.put_rate_table(rate_table(id, name, "USD", rates, parent_id, Rounding(places=id)))
    return made


@pytest.mark.parametrize(
    ("number", "moment", "expected"),
    [cells[1:] for cells in calls.rows("rates.txt") if cells[0] == "call"],
)
def test_a_call_gets_the_rate_of_the_price_lists(price_lists, number, moment, expected):
    rate = price_lists.rate(BERLINER, 1, number, datetime.fromisoformat(moment))

    if expected == "no rate":
        assert rate is None
        return
    table, code, price, *blocked = expected.split()
    found = (rate.code, rate.price_per_minute, rate.blocked)
    assert found == (code, Decimal(price), blocked == ["blocked"])
    rates = price_lists.rate_tables[TABLES[table][0]].rates
    assert found in {(fields[0], fields[2], fields[12]) for fields in rates}
    assert rate.rounding == Rounding(places=1), "the client's own table rounds"


def test_hours_are_those_of_the_clients_own_clock(price_lists):
    """At 07:30 UTC it is 08:30 in Berlin, 07:30 in London and 13:00 in Kolkata."""
    zones = {"Europe/Berlin": "0.60", "Europe/London": "0.50", "Asia/Kolkata": "0.60", "America/Lima": "0.40"}
    moment = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)

    for zone, price in zones.items():
        client = replace(ALICE, timezone=ZoneInfo(zone))
        assert price_lists.rate(client, 1, "4930123456", moment).price_per_minute == Decimal(price)


def test_a_profile_that_nobody_defined_never_holds(price_lists):
    made = Catalogue()
    made.put_rate_table(rate_table(1, "x", "USD", [calls.rate("1/min 1/1", time_profile="gone")]))

    assert made.rate(BERLINER, 1, "442071234567", NOON) is None


def test_without_a_rate_table_there_is_no_rate(price_lists):
    assert price_lists.rate(BERLINER, None, "442071234567", NOON) is None
    assert price_lists.rate(BERLINER, 99, "442071234567", NOON) is None


def test_tables_that_are_each_others_parents_do_not_hang_a_turn():
    made = Catalogue()
    made.put_rate_table(rate_table(1, "a", "USD", [calls.rate("1/min 1/1", "4")], parent_id=2))
    made.put_rate_table(rate_table(2, "b", "USD", [calls.rate("2/min 1/1", "44")], parent_id=1))

    assert made.rate(ALICE, 1, "442071234567", NOON).code == "44"


def _with_exchange() -> Catalogue:
    made = calls.catalogue()
    made.put_rate_table(
        rate_table(5, "Euro", "EUR", [calls.rate("0.10/min 1/1")], 6, rounding=Rounding(4, "up"))
    )
    made.put_rate_table(rate_table(6, "Pound", "GBP", [calls.rate("0.20/min 1/1", "447")]))
    made.exchange = exchange(
        [
            ExchangeRate("EUR", "USD", Decimal("1.10"), at(0)),
            ExchangeRate("EUR", "USD", Decimal("1.20"), at(60)),
        ]
    )
    return made


@pytest.mark.parametrize(
    ("seconds", "factor"), [(0, "1.10"), (59.999999, "1.10"), (60, "1.20"), (9e6, "1.20")]
)
def test_a_rate_is_converted_by_the_factor_of_its_moment(seconds, factor):
    rate = _with_exchange().rate(ALICE, 5, "442071234567", at(seconds))

    assert (rate.factor, rate.price_per_minute) == (Decimal(factor), Decimal("0.10"))
    assert rate.rounding == Rounding(4, "up")


def test_a_rate_is_told_apart_from_the_same_one_for_another_currency():
    """What is kept at hand is the table's rate, never one that was converted for somebody."""
    made = _with_exchange()
    european = replace(ALICE, currency="EUR")
    factors = [
        made.rate(client, 5, "442071234567", at(60)).factor for client in (ALICE, european, ALICE, european)
    ]

    assert factors == [Decimal("1.20"), 1, Decimal("1.20"), 1]


def test_without_a_factor_there_is_no_rate():
    made = _with_exchange()

    assert made.rate(ALICE, 5, "442071234567", at(0) - timedelta(microseconds=1)) is None
    assert made.rate(ALICE, 5, "447911234567", at(60)) is None, "the parent's pounds have no factor"


def test_a_rate_of_a_parent_is_converted_from_the_parents_currency_and_rounded_by_the_own_table():
    made = _with_exchange()
    british = replace(ALICE, currency="GBP")
    rate = made.rate(british, 5, "447911234567", NOON)

    assert (rate.price_per_minute, rate.factor, rate.rounding) == (Decimal("0.20"), 1, Rounding(4, "up"))


def test_a_change_of_a_parent_is_seen_below_it(price_lists):
    made = Catalogue()
    made.put_rate_table(rate_table(1, "own", "USD", [], parent_id=2))
    made.put_rate_table(rate_table(2, "parent", "USD", [calls.rate("1/min 1/1")]))
    before = made.rate(ALICE, 1, "442071234567", NOON)
    made.put_rate_table(rate_table(2, "parent", "USD", [calls.rate("2/min 1/1")]))

    assert (before.price_per_minute, made.rate(ALICE, 1, "442071234567", NOON).price_per_minute) == (1, 2)
