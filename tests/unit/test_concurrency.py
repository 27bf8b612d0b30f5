"""What each policy for parallel calls grants and sets aside, and how slices are renewed."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, SOLD, at, catalogue, rate, request
from hypothesis import given
from hypothesis import strategies as st

from billing_core.authorization import Authorized, Candidate, Denied, decide, identify
from billing_core.balance import Balance, available
from billing_core.client import Concurrency, Policy
from billing_core.concurrency import (
    LEAD_SECONDS_MAX,
    SLICE_SECONDS_MIN,
    Renewal,
    awaits_renewal,
    is_sliced,
    renewed,
)
from billing_core.conversation import Conversation
from billing_core.credit_time import highest_cost
from billing_core.denial import Denial
from billing_core.facts import Facts
from billing_core.limits import Limits
from billing_core.opening import granted
from billing_core.session import Session, State

LIMITS = Limits()
FULL = Concurrency()
NONE = Concurrency(Policy.NONE)
SLICE = Concurrency(Policy.SLICE, seconds=60)
RATES = ("0.60/min 1/1", "1/min 30/1 setup 0.3 grace 2", "0.0129/min 60/60", "0/min 1/1", "-0.60/min 1/1")


def share(calls: int) -> Concurrency:
    return Concurrency(Policy.SHARE, calls=calls)


def has(live: str, reserved: str = "0") -> Balance:
    return Balance(Decimal(live), Decimal(reserved))


def ask(
    concurrency: Concurrency,
    balance: Balance,
    *,
    written: str = "0.60/min 1/1",
    can_disconnect: bool = True,
    session: Session | None = None,
    now: datetime = NOON,
    **client: Any,
) -> Authorized | Denied:
    caller = replace(ALICE, concurrency=concurrency, **client)
    found = identify(request(), catalogue((caller, [ALICE_ACCOUNT]), sold=[rate(written)]), NOON)
    assert isinstance(found, Candidate)
    return decide(found, balance, {}, session, LIMITS, now, can_disconnect=can_disconnect)


def terms(outcome: Authorized | Denied) -> tuple[int, Decimal, int | None]:
    """Return how long the call may last, what is set aside for it, and how long that pays."""
    assert isinstance(outcome, Authorized)
    return outcome.credit_time_seconds, outcome.reserved, outcome.reserved_seconds


# --- what is granted and set aside ------------------------------------------------------------------

# Ten dollars at a cent a second; of them, others hold four.
POLICIES = [
    (FULL, True, (600, "6.00", 600)),
    (share(2), True, (500, "5.00", 500)),
    (share(1), True, (600, "6.00", 600)),
    (share(50), True, (20, "0.20", 20)),
    (SLICE, True, (600, "0.60", 60)),
    (Concurrency(Policy.SLICE, seconds=3600), True, (600, "6.00", 600)),
    (SLICE, False, (600, "6.00", 600)),
    (NONE, True, (1000, "0", None)),
    (NONE, False, (1000, "0", None)),
]


@pytest.mark.parametrize(("concurrency", "can_disconnect", "expected"), POLICIES)
def test_each_policy_grants_and_sets_aside_in_its_own_way(concurrency, can_disconnect, expected):
    seconds, reserved, reserved_seconds = expected
    outcome = ask(concurrency, has("10", "4"), can_disconnect=can_disconnect)

    assert terms(outcome) == (seconds, Decimal(reserved), reserved_seconds)


@pytest.mark.parametrize("policy", Policy)
def test_a_postpaid_client_reserves_nothing_under_any_policy(policy):
    outcome = ask(Concurrency(policy), has("-5"), postpaid=True)

    assert terms(outcome) == (7200, 0, None)


@pytest.mark.parametrize("policy", Policy)
def test_no_policy_grants_what_is_not_there(policy):
    outcome = ask(Concurrency(policy), has("0"))

    assert isinstance(outcome, Denied)
    assert outcome.reason is Denial.NO_MONEY


@pytest.mark.parametrize("policy", Policy)
def test_no_policy_lets_a_call_cost_more_than_its_maximum(policy):
    outcome = ask(Concurrency(policy), has("10"), charge_max=Decimal(2))

    assert terms(outcome)[0] == 200


def test_a_share_is_one_of_all_the_money_and_not_of_what_is_left():
    first, second = ask(share(4), has("10")), ask(share(4), has("10", "2.50"))

    assert terms(first) == terms(second) == (250, Decimal("2.50"), 250)


@pytest.mark.parametrize("calls", [1, 2, 3, 7, 10, 30, 200])
def test_as_many_calls_as_there_are_shares_all_get_one(calls):
    reserved, times = Decimal(0), []
    for _ in range(calls):
        outcome = ask(share(calls), Balance(Decimal(10), reserved))
        assert isinstance(outcome, Authorized), f"refused after {len(times)} calls"
        times.append(outcome.credit_time_seconds)
        reserved += outcome.reserved

    assert set(times) == {1000 // calls}
    assert Decimal("10") - Decimal(calls) / 100 < reserved <= 10


def test_without_reservations_each_of_many_calls_gets_all():
    outcomes = [ask(NONE, has("10")) for _ in range(20)]

    assert {terms(outcome) for outcome in outcomes} == {(1000, Decimal(0), None)}


def test_a_slice_reaches_the_first_second_that_costs_anything():
    outcome = ask(Concurrency(Policy.SLICE, seconds=10), has("10"), written="1/min 30/1 setup 0.3 grace 40")

    assert terms(outcome)[1:] == (highest_cost(rate("1/min 30/1 setup 0.3 grace 40"), 41), 41)


def test_a_slice_is_never_so_short_that_nobody_could_renew_it():
    outcome = ask(Concurrency(Policy.SLICE, seconds=1), has("10"))

    assert terms(outcome)[2] == SLICE_SECONDS_MIN


@given(
    st.lists(st.sampled_from([FULL, share(1), share(3), share(10), SLICE]), min_size=1, max_size=12),
    st.decimals(-5, 20, places=4),
    st.decimals(-5, 5, places=2),
    st.sampled_from(RATES),
)
def test_what_is_set_aside_in_all_is_never_more_than_there_is(policies, live, credit, written):
    balance = Balance(live)
    for concurrency in policies:
        outcome = ask(concurrency, balance, written=written, credit=credit)
        if isinstance(outcome, Authorized):
            balance = balance.changed(reserved=outcome.reserved)
            assert outcome.reserved >= 0
            # What a reservation pays is exactly what it was made of.
            assert outcome.reserved == highest_cost(rate(written), outcome.reserved_seconds)
            assert balance.reserved <= available(replace(ALICE, credit=credit), balance)


# --- slices -----------------------------------------------------------------------------------------


def sliced(live: str = "10", *, sends_start: bool = False, now: datetime = NOON) -> Session:
    """Return a leg that was granted all the money, in slices of a minute."""
    asked = request(sends_start=sends_start)
    outcome = ask(SLICE, has(live))
    assert isinstance(outcome, Authorized)
    return granted(asked, outcome, None, LIMITS, now)


def renew(
    session: Session, second: float, live: str = "10", reserved: str | None = None, **client: Any
) -> Renewal:
    """Renew a leg so long after noon; *reserved* is of all the client's legs, by default of this one."""
    caller = replace(ALICE, **{"concurrency": SLICE, **client})
    balance = Balance(Decimal(live), session.reserved if reserved is None else Decimal(reserved))
    return renewed(session, caller, balance, LIMITS, at(second))


def test_a_sliced_leg_is_looked_at_before_its_slice_is_used_up():
    session = sliced()

    assert (session.reserved_seconds, session.credit_time_seconds) == (60, 1000)
    assert session.look_at == at(60 - LEAD_SECONDS_MAX)
    assert awaits_renewal(session)


def test_where_a_start_will_come_the_slice_waits_for_it():
    session = sliced(sends_start=True)

    assert session.look_at == at(LIMITS.start_timeout_seconds)
    assert is_sliced(session)
    assert not awaits_renewal(session)


def test_an_unstarted_leg_is_held_at_least_as_long_as_its_slice_pays():
    outcome = ask(Concurrency(Policy.SLICE, seconds=600), has("10"))
    assert isinstance(outcome, Authorized)
    session = granted(request(sends_start=True), outcome, None, LIMITS, NOON)

    assert session.look_at == at(600)
    assert not awaits_renewal(session)


@pytest.mark.parametrize("state", [State.RESERVED, State.ACTIVE])
def test_a_slice_is_renewed_by_the_time_that_has_passed(state):
    renewal = renew(sliced()._replace(state=state), 41.5)

    assert not renewal.ran_dry
    assert (renewal.session.reserved_seconds, renewal.session.reserved) == (101, Decimal("1.01"))
    assert renewal.session.look_at == at(101 - LEAD_SECONDS_MAX)
    assert awaits_renewal(renewal.session)


def test_a_slice_is_renewed_as_far_as_the_money_lasts():
    renewal = renew(sliced(), 40, live="10", reserved="9.80")

    # Sixty cents are its own and twenty nobody's.
    assert (renewal.session.reserved_seconds, renewal.session.reserved) == (80, Decimal("0.80"))
    assert renewal.session.look_at == at(60)
    assert not renewal.ran_dry


def test_a_slice_without_money_for_the_next_one_ran_dry():
    session = sliced()._replace(state=State.ACTIVE, last_heard_at=at(5))
    renewal = renew(session, 40, live="10", reserved="10")

    assert renewal.ran_dry
    assert (renewal.session.reserved_seconds, renewal.session.reserved) == (60, Decimal("0.60"))
    assert not awaits_renewal(renewal.session)
    assert renewal.session.look_at == at(5 + 1000 + LIMITS.silence_margin_seconds)


def test_a_slice_that_ran_dry_is_renewed_when_there_is_money_again():
    dry = renew(sliced(), 40, reserved="10").session
    renewal = renew(dry, 55, live="20", reserved="10")

    assert not renewal.ran_dry
    assert renewal.session.reserved_seconds == 115


def test_the_last_slice_ends_with_what_was_granted():
    renewal = renew(sliced(), 950, live="10")

    assert not renewal.ran_dry
    assert (renewal.session.reserved_seconds, renewal.session.reserved) == (1000, Decimal(10))
    assert not awaits_renewal(renewal.session)
    assert renewal.session.look_at == at(1000 + LIMITS.silence_margin_seconds)


def test_a_slice_keeps_what_it_holds_when_others_have_cost_more_than_there_was():
    renewal = renew(sliced(), 10, live="-3", reserved="0.60")

    assert (renewal.session.reserved_seconds, renewal.session.reserved) == (60, Decimal("0.60"))


def test_a_call_that_costs_nothing_never_runs_dry():
    free = sliced()._replace(rate=rate("0/min 1/1"), reserved=Decimal(0))
    renewal = renew(free, 40, live="-3")

    assert not renewal.ran_dry
    assert renewal.session.reserved_seconds == 100


def test_a_leg_that_was_given_up_and_is_heard_of_sets_aside_anew():
    returned = sliced()._replace(state=State.ACTIVE, reserved=Decimal(0))
    renewal = renew(returned, 300)

    assert (renewal.session.reserved_seconds, renewal.session.reserved) == (360, Decimal("3.60"))


def test_a_client_who_became_postpaid_needs_no_slices():
    renewal = renew(sliced(), 40, postpaid=True)

    assert (renewal.session.reserved, renewal.session.reserved_seconds) == (0, None)
    assert not renewal.ran_dry
    assert not awaits_renewal(renewal.session)


def test_a_leg_is_not_given_up_before_its_grant_and_the_margin_are_over_since_the_answer():
    told = sliced()._replace(
        state=State.ACTIVE,
        last_heard_at=at(110),
        facts=Facts(known_seconds=100),
        reserved=Decimal(0),
    )
    renewal = renew(told, 110, live="0")

    assert renewal.ran_dry
    assert renewal.session.look_at == at(10 + 1000 + LIMITS.silence_margin_seconds)


def test_another_authorization_renews_a_slice_by_the_time_that_has_passed():
    session = sliced()._replace(state=State.ACTIVE)
    outcome = ask(SLICE, Balance(Decimal(10), session.reserved), session=session, now=at(30))
    assert isinstance(outcome, Authorized)
    known = Conversation(session, is_moved=False, is_sure=True)
    again = granted(request(), outcome, known, LIMITS, at(30))

    assert (outcome.credit_time_seconds, outcome.reserved) == (970, Decimal("0.90"))
    assert (again.reserved_seconds, again.credit_time_seconds) == (90, 1000)
    assert again.look_at == at(90 - LEAD_SECONDS_MAX)


@given(
    st.lists(st.integers(1, 120), min_size=1, max_size=30),
    st.decimals(0, 20, places=4),
    st.decimals(0, 20, places=4),
    st.integers(1, 300),
    st.sampled_from(RATES),
)
def test_renewals_never_set_aside_more_than_there_is_nor_look_too_late(waits, live, others, seconds, written):
    concurrency = Concurrency(Policy.SLICE, seconds=seconds)
    client = replace(ALICE, concurrency=concurrency)
    outcome = ask(concurrency, Balance(live, others), written=written)
    if not isinstance(outcome, Authorized):
        return
    session = granted(request(), outcome, None, LIMITS, NOON)._replace(state=State.ACTIVE)
    second = 0
    for wait in waits:
        second += wait
        if not is_sliced(session):
            return
        balance = Balance(live, others + session.reserved)
        before, renewal = session, renewed(session, client, balance, LIMITS, at(second))
        session = renewal.session
        assert session.look_at > at(second) or not awaits_renewal(session)
        assert session.reserved >= before.reserved
        assert session.reserved_seconds <= session.credit_time_seconds
        assert others + session.reserved <= max(live, others + before.reserved)
        if not renewal.ran_dry:
            # There is time left to look again before what is set aside is used up.
            assert (
                session.reserved_seconds > second or session.reserved_seconds == outcome.credit_time_seconds
            )


def test_the_rate_of_these_tests_is_a_cent_a_second():
    assert highest_cost(SOLD, 60) == Decimal("0.60")
