"""Rating an ended leg again: by today's rates, only what differs, and never twice."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import calls
import pytest
from calls import ALICE, ALICE_ACCOUNT, at, rate, report, start, stop

from billing_core.accounting import hear
from billing_core.catalogue import Catalogue
from billing_core.charging import payer
from billing_core.client import Account
from billing_core.limits import Limits
from billing_core.opening import opened
from billing_core.rate_table import rate_table
from billing_core.report import Kind
from billing_core.rerating import difference, owner, rerated
from billing_core.session import Leg, Session
from billing_core.settlement import settle
from billing_core.xdr import Unbillable, XdrState

LIMITS = Limits()


def sold_at(price: str | None) -> Catalogue:
    """Return definitions by which a minute to London costs *price*, or nothing fits."""
    catalogue = calls.catalogue()
    rates = [rate(f"{price}/min 1/1")] if price else []
    catalogue.put_rate_table(rate_table(1, "Sold", "USD", rates))
    return catalogue


def ended(catalogue: Catalogue, seconds: int | None = 60, **fields: Any) -> Session:
    """Return the session of a call that was never authorized, settled."""
    told = stop(seconds, **fields)
    by = payer(told, catalogue)
    session = hear(opened(told, by, None, LIMITS, at(60)), told, LIMITS, at(60))
    return settle(session, catalogue, LIMITS)[0]


def test_a_leg_whose_rate_has_not_changed_stays_as_it_is() -> None:
    assert rerated(ended(sold_at("1")), None, sold_at("1"), LIMITS) is None


def test_a_leg_is_rated_by_todays_price_even_if_another_was_pinned() -> None:
    session = ended(sold_at("1"))._replace(authorized_at=at(0), rated_for=None)

    again = rerated(session, None, sold_at("1.5"), LIMITS)

    assert again is not None
    assert not again.is_kept
    assert (again.xdr.amount, again.xdr.revision) == (Decimal("1.5"), session.revision + 1)
    assert difference(session, again.session) == Decimal("-0.5")
    assert rerated(again.session, None, sold_at("1.5"), LIMITS) is None


def test_a_late_stop_is_charged_by_the_rate_that_took_the_place_of_the_pinned_one() -> None:
    session = ended(sold_at("1"))._replace(authorized_at=at(0), rated_for=None)
    again = rerated(session, None, sold_at("2"), LIMITS)
    assert again is not None

    heard = hear(again.session, stop(90), LIMITS, at(100))

    assert settle(heard, sold_at("7"), LIMITS)[1].amount == 3


def test_a_charged_leg_that_no_rate_fits_today_keeps_its_charge() -> None:
    again = rerated(ended(sold_at("1")), None, sold_at(None), LIMITS)

    assert again is not None
    assert again.is_kept


def test_a_leg_without_a_rate_is_charged_once_there_is_one() -> None:
    session = ended(sold_at(None))

    again = rerated(session, Unbillable.NO_RATE, sold_at("1"), LIMITS)

    assert again is not None
    assert not again.is_kept
    assert (again.xdr.state, again.xdr.amount) == (XdrState.RATED, 1)
    assert rerated(again.session, None, sold_at("1"), LIMITS) is None


def test_a_free_rate_mends_the_record_though_nothing_is_charged() -> None:
    again = rerated(ended(sold_at(None)), Unbillable.NO_RATE, sold_at("0"), LIMITS)

    assert again is not None
    assert (again.xdr.state, again.xdr.reason, again.xdr.amount) == (XdrState.RATED, None, 0)
    assert rerated(again.session, None, sold_at("0"), LIMITS) is None


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(None, Unbillable.NO_DURATION), (90_000, Unbillable.IMPLAUSIBLE_DURATION)],
)
def test_what_no_price_mends_stays_unbillable(seconds: int | None, reason: Unbillable) -> None:
    assert rerated(ended(sold_at("1"), seconds), reason, sold_at("2"), LIMITS) is None


def test_a_leg_of_nobody_is_recognised_by_what_its_first_record_told() -> None:
    nobody = ended(Catalogue(), called="99442071234567")
    catalogue = sold_at("1")
    catalogue.put_client(ALICE, [replace(ALICE_ACCOUNT, tech_prefix="99")])

    again = rerated(nobody, Unbillable.NO_ACCOUNT, catalogue, LIMITS)

    assert nobody.client_id is None
    assert again is not None
    assert (again.session.client_id, again.session.account_id) == (ALICE.id, ALICE_ACCOUNT.id)
    assert (again.xdr.called, again.xdr.code, again.xdr.amount) == ("442071234567", "44", 1)
    assert rerated(again.session, None, catalogue, LIMITS) is None


BY_IP = Account(id=11, client_id=ALICE.id, ip="198.51.100.1")
BY_ANI = Account(id=12, client_id=ALICE.id, ani="1222333")


@pytest.mark.parametrize(
    ("accounts", "told", "expected"),
    [
        ([ALICE_ACCOUNT, BY_IP, BY_ANI], {}, ALICE_ACCOUNT.id),
        ([ALICE_ACCOUNT, BY_IP, BY_ANI], {"name": "SIP/trunk-1"}, BY_IP.id),
        ([ALICE_ACCOUNT, BY_IP, BY_ANI], {"name": "nobody", "ip": "192.0.2.7"}, BY_ANI.id),
        ([ALICE_ACCOUNT, replace(BY_IP, tech_prefix="99#"), BY_ANI], {"name": None}, None),
        ([ALICE_ACCOUNT, replace(BY_IP, tech_prefix="99#", orig=False), BY_ANI], {"name": None}, None),
        ([replace(ALICE_ACCOUNT, tech_prefix="99#"), BY_IP, BY_ANI], {}, None),
    ],
    ids=["name", "no account's name", "address of nobody", "no prefix", "switched off", "name's prefix"],
)
def test_a_record_is_of_whom_its_first_known_mark_tells_or_of_nobody(
    accounts: list[Account], told: dict[str, Any], expected: int | None
) -> None:
    found = payer(stop(60, **told), calls.catalogue((ALICE, accounts)))

    assert (found and found.id) == expected


def test_a_vendors_leg_raises_his_balance_when_it_is_found_to_be_his() -> None:
    told = report(Kind.STOP, leg=Leg.TERMINATION, session_seconds=60)
    session = hear(opened(told, None, None, LIMITS, at(60)), told, LIMITS, at(60))
    nobodys = settle(session, Catalogue(), LIMITS)[0]

    again = rerated(nobodys, None, calls.catalogue(), LIMITS)

    assert again is not None
    assert again.session.client_id == 2
    assert difference(nobodys, again.session) == again.xdr.amount > 0


def test_a_leg_that_is_still_nobodys_stays_so() -> None:
    nobody = ended(Catalogue())

    assert rerated(nobody, Unbillable.NO_ACCOUNT, Catalogue(), LIMITS) is None
    assert owner(Leg.FURTHER, "1", "2", nobody.decision, calls.catalogue()) is None


def test_a_call_under_way_is_not_rated() -> None:
    told = start()
    session = hear(opened(told, None, None, LIMITS, at(0)), told, LIMITS, at(0))

    assert rerated(session, None, sold_at("1"), LIMITS) is None
