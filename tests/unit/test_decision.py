"""What a decision record keeps: enough to explain the call later, in few octets, and nothing secret."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, at, catalogue, rate, request, start

from billing_core import decision
from billing_core.authorization import AuthorizationRequest, Authorized, Candidate, Denied, decide, identify
from billing_core.balance import Balance
from billing_core.capacity import Counter, Scope
from billing_core.catalogue import Recognition
from billing_core.client import Account, Client, Concurrency, LowBalance, Policy
from billing_core.denial import Denial
from billing_core.limits import Limits
from billing_core.opening import granted, opened
from billing_core.session import Session, State

LIMITS = Limits(max_call_seconds=7200)
ASKED = request()


def decided(
    client: Client = ALICE,
    account: Account = ALICE_ACCOUNT,
    balance: Balance = Balance(live=Decimal(10)),  # noqa: B008 - a value that never changes
    counters: dict[Any, Counter] | None = None,
    session: Session | None = None,
    price: str = "0.60/min 1/1",
    now: Any = NOON,
    asked: AuthorizationRequest = ASKED,
) -> dict[str, Any]:
    """Return the facts that are kept of a decision."""
    found = identify(asked, catalogue((client, [account]), sold=[rate(price)]), now)
    if isinstance(found, Denied):
        return decision.read(decision.refused(asked, found, found.rate, None, now).facts)
    seen = decision.Seen(balance, counters or {}, session, LIMITS)
    outcome = decide(found, balance, counters or {}, session, LIMITS, now, can_disconnect=True)
    if isinstance(outcome, Denied):
        return decision.read(decision.refused(asked, outcome, found.rate, seen, now).facts)
    return decision.read(decision.accepted(asked, outcome, seen, now))


def session_of(candidate: Candidate, outcome: Authorized) -> Session:
    return granted(request(), outcome, None, LIMITS, NOON)


def under_way(balance: Balance) -> Session:
    """Return the session of Alice's call, accepted at noon and heard of since."""
    found = identify(ASKED, catalogue(), NOON)
    assert isinstance(found, Candidate)
    outcome = decide(found, balance, {}, None, LIMITS, NOON)
    assert isinstance(outcome, Authorized)
    return session_of(found, outcome)._replace(state=State.ACTIVE)


# --- what made the time as long as it is --------------------------------------------------------------

SHARED = replace(ALICE, concurrency=Concurrency(Policy.SHARE, calls=4))
SLICED = replace(ALICE, concurrency=Concurrency(Policy.SLICE, seconds=60))
CAPPED = replace(ALICE, charge_max=Decimal(2))
OF_TEN = Balance(live=Decimal(10))

BOUNDS: list[tuple[str, Client, Balance, int, str]] = [
    ("money", ALICE, OF_TEN, 1000, "money"),
    ("less what others hold", ALICE, Balance(Decimal(10), reserved=Decimal(4)), 600, "money"),
    ("more than any call lasts", ALICE, Balance(live=Decimal(1000)), 7200, "max_call_seconds"),
    ("postpaid", replace(ALICE, postpaid=True), OF_TEN, 7200, "max_call_seconds"),
    ("charge_max", CAPPED, OF_TEN, 200, "charge_max"),
    ("less money than charge_max", CAPPED, Balance(live=Decimal(1)), 100, "money"),
    ("charge_max of who pays later", replace(CAPPED, postpaid=True), OF_TEN, 200, "charge_max"),
    ("a share", SHARED, OF_TEN, 250, "share"),
    ("less than a share is left", SHARED, Balance(Decimal(10), reserved=Decimal(9)), 100, "money"),
    ("charge_max below a share", replace(SHARED, charge_max=Decimal(2)), OF_TEN, 50, "share"),
    ("a slice at a time", SLICED, OF_TEN, 1000, "money"),
    ("nothing set aside", replace(ALICE, concurrency=Concurrency(Policy.NONE)), OF_TEN, 1000, "money"),
]


@pytest.mark.parametrize(
    ("client", "balance", "seconds", "bound"), [row[1:] for row in BOUNDS], ids=[row[0] for row in BOUNDS]
)
def test_what_limits_a_call_is_kept(client: Client, balance: Balance, seconds: int, bound: str) -> None:
    facts = decided(client, balance=balance)

    assert (facts["seconds"], facts["bound"]) == (seconds, bound)


def test_the_bound_names_the_sum_whose_change_would_change_the_time() -> None:
    for _, client, balance, seconds, bound in BOUNDS:
        richer = {
            "money": decided(client, balance=balance._replace(live=balance.live + 1)),
            "charge_max": decided(
                replace(client, charge_max=(client.charge_max or 0) + Decimal(1)), balance=balance
            ),
            "share": decided(
                replace(client, concurrency=Concurrency(Policy.SHARE, calls=3)), balance=balance
            ),
        }
        assert bound == "max_call_seconds" or richer[bound]["seconds"] > seconds


def test_a_slice_tells_how_long_it_pays() -> None:
    facts = decided(SLICED)

    assert (facts["seconds"], facts["set_aside"], facts["set_aside_seconds"]) == (1000, "0.6", 60)
    assert "set_aside_seconds" not in decided(ALICE)


# --- what was seen ------------------------------------------------------------------------------------


def test_money_and_places_are_those_before_the_decision() -> None:
    client = replace(ALICE, capacity=5, reseller_ids=(100, 101), low_balance=LowBalance(Decimal(3), 1))
    balance = Balance(live=Decimal(10), reserved=Decimal("2.50"), in_use=2)
    counters = {(Scope.ACCOUNT, 10): Counter(4, 1), (Scope.RESELLER, 101): Counter(9, 3)}

    facts = decided(client, balance=balance, counters=counters)

    assert (facts["live"], facts["reserved"], facts["usable"], facts["credit"]) == ("10", "2.5", "7.5", "0")
    assert facts["capacity"] == {
        "account": [4, 1],
        "client": [5, 2],
        "low_balance": [1, 2],
        "low_balance_threshold": "3",
        "resellers": [[101, 9, 3]],
    }


def test_what_the_call_holds_itself_is_told_apart() -> None:
    session = under_way(OF_TEN)
    balance = Balance(live=Decimal(10), reserved=session.reserved + 1, in_use=2)

    facts = decided(balance=balance, session=session, now=at(100))

    assert (facts["own"], facts["usable"], facts["capacity"]["held"]) == ("10", "9", 1)
    assert (facts["seconds"], facts["bound"]) == (900, "money")


@pytest.mark.parametrize(
    ("asked", "by"),
    [(request(), "name"), (request(credential=None), "ip"), (request(credential=None, ip=None), "ani")],
)
def test_by_what_the_account_was_found_is_kept(asked: AuthorizationRequest, by: str) -> None:
    account = replace(ALICE_ACCOUNT, ip="198.51.100.1", ani="1222333")

    assert decided(account=account, asked=asked)["by"] == by


def test_a_rate_is_kept_with_its_date_its_terms_and_its_factor() -> None:
    found = identify(ASKED, catalogue(), NOON)
    assert isinstance(found, Candidate)
    priced = replace(
        found.rate,
        effective_from=at(-60),
        time_profile="peak",
        factor=Decimal("1.25"),
        min_volume_seconds=30,
        interval_seconds=6,
        grace_seconds=2,
    )
    outcome = Authorized(replace(found, rate=priced), 60, Decimal(1), Decimal(10), 60)

    facts = decision.read(decision.accepted(ASKED, outcome, decision.Seen(OF_TEN, {}, None, LIMITS), NOON))

    assert (facts["code"], facts["volume"], facts["factor"]) == ("44", [30, 6, 2], "1.25")
    assert (facts["effective_from"], facts["time_profile"]) == ("2026-03-02T11:59:00Z", "peak")


def test_a_record_stays_small() -> None:
    client = replace(
        SHARED, reseller_ids=(1, 2, 3), low_balance=LowBalance(Decimal(3), 1), charge_max=Decimal(9)
    )
    counters = {(Scope.RESELLER, id): Counter(1000, 999) for id in (1, 2, 3)}
    counters[Scope.ACCOUNT, 10] = Counter(1000, 999)
    facts = decided(
        client, balance=Balance(Decimal("123456.123456"), Decimal("99999.123456")), counters=counters
    )

    assert len(decision._text(facts).encode()) < 600


# --- refusals -------------------------------------------------------------------------------------------


def test_a_refusal_tells_what_the_first_interval_would_have_cost() -> None:
    facts = decided(balance=Balance(live=Decimal("0.5")), price="6/min 60/60 grace 2")

    assert (facts["needed"], facts["usable"]) == ("6", "0.5")
    assert "bound" not in facts


def test_a_refusal_for_want_of_places_tells_the_places() -> None:
    facts = decided(replace(ALICE, capacity=2), balance=Balance(live=Decimal(1), in_use=2))

    assert facts["capacity"]["client"] == [2, 2]
    assert "needed" not in facts


def test_a_stranger_is_kept_as_he_named_himself() -> None:
    facts = decided(asked=request(name="mallory"))

    assert facts == {"name": "mallory", "ip": "198.51.100.1"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Recognition.NAME),
        ({"credential": None}, Recognition.ANI),
        ({"credential": None, "name_is_trusted": True}, Recognition.NAME),
        ({"credential": None, "name_is_trusted": True, "name": None}, Recognition.ANI),
    ],
)
def test_by_what_a_caller_was_recognised_is_told(fields: dict[str, Any], expected: Recognition) -> None:
    assert decision.recognised_by(request(**fields), ALICE_ACCOUNT) is expected


def test_a_proof_that_was_not_checked_is_named_in_the_refusal() -> None:
    facts = decided(asked=request(unchecked_proof="EAP-Message"))

    assert facts["because"] == "EAP-Message is a proof that is not checked here"


def test_a_password_is_kept_nowhere() -> None:
    found = identify(ASKED, catalogue(), NOON)
    denied = Denied(Denial.BAD_PASSWORD, ALICE, ALICE_ACCOUNT)

    assert isinstance(found, Candidate)
    assert "secret" not in decision.refused(ASKED, denied, None, None, NOON).facts


# --- legs that nobody was found for ------------------------------------------------------------------------


def test_a_leg_of_nobody_can_be_asked_later_by_what_it_is_recognised() -> None:
    report = start(name="alice", ip="198.51.100.7", termination_address=None)

    session = opened(report, None, None, LIMITS, NOON)

    assert decision.unrecognised(session.decision) == decision.Unrecognised("alice", "198.51.100.7", None)


def test_a_leg_of_somebody_keeps_nothing_of_the_kind() -> None:
    assert opened(start(), ALICE_ACCOUNT, None, LIMITS, NOON).decision is None
    assert decision.unrecognised(None) is None
    assert decision.unrecognised('{"by":"name"}') is None
