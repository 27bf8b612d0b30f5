"""Facts only accumulate: whatever is lost, repeated or reordered, the same call costs the same."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from calls import (
    ALICE,
    ALICE_ACCOUNT,
    NOON,
    SOLD,
    VENDOR,
    VENDOR_ACCOUNT,
    at,
    catalogue,
    failed,
    interim,
    rate,
    report,
    start,
    stop,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from billing_core.accounting import absorb, hear
from billing_core.catalogue import Catalogue
from billing_core.client import BillBy
from billing_core.facts import Facts
from billing_core.limits import Limits
from billing_core.repetition import is_of_earlier, opens_another
from billing_core.report import Kind, Report
from billing_core.session import Leg, Session, State, leg_key
from billing_core.settlement import settle
from billing_core.xdr import Unbillable, Xdr, XdrState

LIMITS = Limits()
DEFINITIONS = catalogue()


def leg(**fields: Any) -> Session:
    """Return Alice's leg, accepted at noon for 1000 seconds."""
    opened = Session(
        leg_key=leg_key("gw", "call-1", Leg.ORIGINATION),
        generation=0,
        nas="gw",
        nas_box="gw-1",
        leg=Leg.ORIGINATION,
        state=State.RESERVED,
        call_id="call-1",
        session_id="",
        calling="1222333",
        called="442071234567",
        client_id=1,
        account_id=10,
        opened_at=NOON,
        look_at=at(1060),
        last_heard_at=NOON,
        currency="USD",
        rate=SOLD,
        authorized_at=NOON,
        credit_time_seconds=1000,
        reserved=Decimal(10),
    )
    return opened._replace(**fields)


def unauthorized(**fields: Any) -> Session:
    """Return a leg that was first heard of at noon."""
    nothing = {"state": State.ACTIVE, "rate": None, "authorized_at": None, "credit_time_seconds": None}
    return leg(**nothing | {"reserved": Decimal(0), "currency": None} | fields)


def heard(session: Session, *reports: Report, now: datetime = NOON + timedelta(seconds=100)) -> Session:
    for told in reports:
        session = hear(session, told, LIMITS, now)
    return session


def facts(*reports: Report, elapsed_seconds: int | None = None) -> Facts:
    known = Facts()
    for told in reports:
        known = absorb(known, told, LIMITS, elapsed_seconds, None, NOON)
    return known


def settled(session: Session, *reports: Report, definitions: Catalogue = DEFINITIONS) -> Xdr:
    return settle(heard(session, *reports), definitions, LIMITS)[1]


# --- facts are a join -------------------------------------------------------------------------------

moments = st.none() | st.integers(0, 300).map(at)
durations = st.none() | st.sampled_from([0, 1, 59, 60, 86_400, 86_401, 2**32 - 1])
records = st.builds(
    report,
    st.sampled_from(Kind),
    event_at=moments,
    setup_at=moments,
    connect_at=moments,
    disconnect_at=moments,
    session_seconds=durations,
    disconnect_cause=st.sampled_from([None, "16", "31", "127"]),
)


@given(st.lists(records, max_size=6).flatmap(lambda told: st.tuples(st.just(told), st.permutations(told))))
def test_facts_do_not_depend_on_the_order_of_the_records(both):
    told, shuffled = both

    assert facts(*told) == facts(*shuffled)


@given(st.lists(records, max_size=5), st.data())
def test_facts_do_not_change_when_a_record_is_repeated(told, data):
    again = data.draw(st.lists(st.sampled_from(told), max_size=5)) if told else []

    assert facts(*told, *again) == facts(*told)


@given(st.lists(records, min_size=1, max_size=6).flatmap(st.permutations), st.data())
def test_a_finished_leg_does_not_depend_on_the_order_or_the_repetition_of_its_records(told, data):
    # What was answered does not fail: such a failure is another call's, and says nothing of this one.
    assume(not (any(item.kind is Kind.FAILED for item in told) and any(item.tells_answer for item in told)))
    shuffled = data.draw(st.permutations([*told, *data.draw(st.lists(st.sampled_from(told), max_size=3))]))
    one, other = settled(leg(), *told), settled(leg(), *shuffled)

    assert one._replace(revision=0) == other._replace(revision=0)


FULL_STOP = stop(
    95,
    event_at=at(100),
    setup_at=at(1),
    connect_at=at(5),
    disconnect_at=at(100),
    disconnect_cause="16",
)
LOSABLE = [start(event_at=at(5), connect_at=at(5)), interim(30), interim(60), interim(60, event_at=at(65))]


@given(
    st.lists(st.sampled_from(LOSABLE), max_size=5)
    .map(lambda told: [*told, FULL_STOP])
    .flatmap(st.permutations),
    st.sampled_from([leg(), unauthorized()]),
)
def test_whatever_is_lost_before_a_full_stop_changes_nothing_of_the_finished_leg(told, opened):
    one, other = settled(opened, *told), settled(opened, FULL_STOP)

    assert one == other
    assert (one.duration_seconds, one.amount, one.state) == (95, Decimal("0.95"), XdrState.RATED)


# --- which duration counts --------------------------------------------------------------------------

# what was told, in any order | the duration, None when the records do not tell
DURATIONS: list[tuple[str, list[Report], int | None]] = [
    ("only a Start", [start(event_at=NOON)], None),
    ("only Interims", [interim(30), interim(60)], None),
    ("a Stop", [stop(60)], 60),
    ("a Stop of no duration", [stop(0)], 0),
    ("two Stops", [stop(60), stop(90)], 90),
    ("a Stop that tells less than an Interim", [interim(90), stop(60)], 60),
    ("an implausible Stop beside a plausible one", [stop(86_401), stop(60)], 60),
    ("the longest plausible Stop", [stop(86_400), stop(60)], 86_400),
    ("only implausible Stops", [stop(2**32 - 1), stop(86_401)], 2**32 - 1),
    ("session time before the switch's own dates", [stop(60, connect_at=NOON, disconnect_at=at(99))], 60),
    ("the switch's own dates", [stop(None, connect_at=NOON, disconnect_at=at(61))], 61),
    ("a part of a second counts whole", [stop(None, connect_at=NOON, disconnect_at=at(60.01))], 61),
    ("the answer told by the Start", [start(connect_at=at(5)), stop(None, disconnect_at=at(61))], 56),
    (
        "its own dates before those of the records",
        [start(event_at=NOON), stop(None, event_at=at(90), connect_at=at(5), disconnect_at=at(61))],
        56,
    ),
    ("the dates of Start and Stop", [start(event_at=NOON), stop(None, event_at=at(60))], 60),
    ("a clock that went backwards", [start(event_at=at(9)), stop(None, event_at=NOON)], None),
    ("an end before its answer", [stop(None, connect_at=at(9), disconnect_at=NOON)], None),
    ("a Stop without any date of the answer", [stop(None, event_at=at(60), disconnect_at=at(60))], None),
    ("a failure", [failed()], 0),
    ("a failed call that rang", [start(event_at=NOON, is_before_answer=True), failed(event_at=at(30))], 0),
    ("a call that was answered does not fail", [start(event_at=NOON), failed(event_at=at(30))], None),
    ("a failure and a Stop of no duration", [failed(), stop(0)], 0),
    ("a failure and a Stop that tells nothing", [failed(), stop(None)], None),
    ("one branch failed, another was answered", [failed(), stop(60)], 60),
]


@pytest.mark.parametrize(
    ("told", "duration"), [row[1:] for row in DURATIONS], ids=[row[0] for row in DURATIONS]
)
def test_the_duration_is_the_best_that_the_records_tell(told, duration):
    assert facts(*told).duration_seconds() == facts(*reversed(told)).duration_seconds() == duration


def test_the_cause_is_that_of_the_ending_that_counts():
    long, short = stop(60, disconnect_cause="16"), stop(30, disconnect_cause="41")
    failure = failed(disconnect_cause="99")

    assert facts(long, short, failure).disconnect_cause == "16"
    assert facts(failure, short, long).disconnect_cause == "16"
    assert facts(failure).disconnect_cause == "99"


def test_an_interim_tells_no_more_than_the_time_since_the_accept():
    assert heard(leg(), interim(90), now=at(60)).facts.known_seconds == 61
    assert heard(leg(), interim(90), now=at(100)).facts.known_seconds == 90
    assert heard(leg(), interim(90), interim(30), now=at(100)).facts.known_seconds == 90


def test_an_implausible_interim_of_a_call_that_was_never_authorized_tells_nothing():
    assert heard(unauthorized(), interim(86_401)).facts.known_seconds == 0
    assert heard(unauthorized(), interim(86_400)).facts.known_seconds == 86_400


# --- states -----------------------------------------------------------------------------------------

CLOSED = heard(leg(), stop(60, event_at=at(60)))

# before | record | after
TRANSITIONS = {
    (State.RESERVED, Kind.START): State.ACTIVE,
    (State.RESERVED, Kind.INTERIM): State.ACTIVE,
    (State.RESERVED, Kind.STOP): State.CLOSED,
    (State.RESERVED, Kind.FAILED): State.CLOSED,
    (State.ACTIVE, Kind.START): State.ACTIVE,
    (State.ACTIVE, Kind.INTERIM): State.ACTIVE,
    (State.ACTIVE, Kind.STOP): State.CLOSED,
    (State.ACTIVE, Kind.FAILED): State.CLOSED,
    (State.RELEASED, Kind.START): State.ACTIVE,
    (State.RELEASED, Kind.INTERIM): State.ACTIVE,
    (State.RELEASED, Kind.STOP): State.CLOSED,
    (State.RELEASED, Kind.FAILED): State.CLOSED,
    (State.CLOSED, Kind.START): State.CLOSED,
    (State.CLOSED, Kind.INTERIM): State.CLOSED,
    (State.CLOSED, Kind.STOP): State.CLOSED,
    (State.CLOSED, Kind.FAILED): State.CLOSED,
}


def test_every_record_is_expected_in_every_state():
    assert TRANSITIONS.keys() == {(state, kind) for state in State for kind in Kind}


@pytest.mark.parametrize(("before", "kind", "after"), [(*met, after) for met, after in TRANSITIONS.items()])
def test_a_record_brings_a_leg_from_state_to_state(before, kind, after):
    assert heard(leg(state=before), report(kind, session_seconds=5)).state is after


def test_the_moment_of_the_first_ending_is_when_the_leg_was_closed():
    again = heard(CLOSED, stop(90), now=at(500))

    assert CLOSED.closed_at == again.closed_at == at(100)


def test_what_says_nothing_new_of_a_closed_leg_leaves_it_as_it_is():
    assert heard(CLOSED, stop(60, event_at=at(60)), now=at(500)) is CLOSED


def test_a_started_call_is_looked_at_when_its_grant_and_the_margin_are_over():
    assert heard(leg(), start(), now=at(30)).look_at == at(30 + 1000 + 60)
    assert heard(leg(credit_time_seconds=None), start(), now=at(30)).look_at == at(30 + 7200 + 60)


def test_a_real_ending_replaces_an_estimate():
    estimated = leg(state=State.CLOSED, closed_at=at(90), estimated=True)

    assert heard(estimated, interim(30)).estimated
    assert not heard(estimated, stop(30)).estimated


def test_a_failure_ends_no_leg_that_was_answered():
    talking = leg(state=State.ACTIVE, facts=Facts(answered=True))

    assert heard(talking, failed()) is talking


def test_a_failure_that_may_be_of_several_calls_ends_none_unless_it_names_the_dialog():
    doubtful = leg(questions=2)

    assert hear(doubtful, failed(), LIMITS, at(9), names_dialog=False) is doubtful
    assert hear(doubtful, failed(), LIMITS, at(9), names_dialog=True).state is State.CLOSED


# --- generations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "opens"), [(-60, False), (1, False), (119, False), (120, False), (121, True), (86_400, True)]
)
def test_a_new_generation_begins_two_minutes_after_the_end_of_the_old(later, opens):
    began = at(60 + later)

    assert opens_another(CLOSED, start(event_at=began), began) is opens
    assert opens_another(CLOSED, stop(30, event_at=began + timedelta(seconds=30)), at(9)) is opens
    assert opens_another(CLOSED, interim(30, event_at=began + timedelta(seconds=30)), at(9)) is opens
    assert opens_another(CLOSED, start(), began) is opens
    assert opens_another(CLOSED, start(delay_seconds=30), began + timedelta(seconds=30)) is opens


@pytest.mark.parametrize("told", [stop(30), interim(30), failed()])
def test_an_undated_record_but_a_start_opens_nothing(told):
    assert not opens_another(CLOSED, told, at(90_000))


@pytest.mark.parametrize("state", [State.RESERVED, State.ACTIVE, State.RELEASED])
def test_a_leg_that_has_not_ended_has_no_next_generation(state):
    assert not opens_another(leg(state=state), start(event_at=at(90_000)), at(90_000))


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_stop_that_dates_its_end_twice_is_never_of_a_generation_after_itself(ahead):
    told = stop(60, event_at=at(60), disconnect_at=at(60 + ahead))
    closed = heard(leg(), told)

    assert not opens_another(closed, told, at(500))


def test_a_record_that_began_before_the_accept_is_of_the_earlier_leg():
    later = leg(generation=1, opened_at=at(1000), authorized_at=at(1000))
    unknown = leg(state=State.CLOSED)

    assert is_of_earlier(CLOSED, later, stop(60, event_at=at(60), delay_seconds=941), at(1001))
    assert is_of_earlier(unknown, later, stop(500, event_at=at(1100)), at(1100))
    assert not is_of_earlier(unknown, later, stop(60, event_at=at(1060)), at(1060))
    # The switch's clock may be two minutes behind.
    assert not is_of_earlier(unknown, later, start(event_at=at(880)), at(1000))
    # Or far behind: alone it says nothing.
    assert not is_of_earlier(unknown, later, stop(60, event_at=at(-2540)), at(1060))


def test_a_garbage_duration_does_not_date_a_record():
    later = leg(generation=1, opened_at=at(1000), authorized_at=at(1000))

    assert not is_of_earlier(leg(state=State.CLOSED), later, stop(2**32 - 1, event_at=at(1060)), at(1060))


# --- further legs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.RESERVED, State.RELEASED])
def test_the_first_record_names_the_session_whatever_the_request_said(state):
    known = leg(state=state, session_id="of the request")

    assert heard(known, start(session_id="telephony")).session_id == "telephony"


def test_a_further_leg_costs_nothing():
    xdr = settled(leg(leg=Leg.FURTHER, authorized_at=None), stop(60))

    assert (xdr.state, xdr.reason, xdr.amount, xdr.duration_seconds) == (XdrState.RECORDED, None, 0, 60)


# --- what it costs ----------------------------------------------------------------------------------


def test_the_pinned_rate_is_the_price_of_an_authorized_call():
    dearer = catalogue(sold=[rate("9/min 1/1")])
    xdr = settled(leg(), stop(60), definitions=dearer)

    assert (xdr.amount, xdr.code, xdr.currency) == (Decimal("0.60"), "44", "USD")


def test_only_the_difference_is_posted_when_later_facts_are_settled():
    first, xdr = settle(CLOSED, DEFINITIONS, LIMITS)
    second, corrected = settle(heard(first, stop(90)), DEFINITIONS, LIMITS)

    assert (first.posted, xdr.revision) == (Decimal("0.60"), 1)
    assert (second.posted, corrected.revision) == (Decimal("0.90"), 2)


def test_an_unbillable_stop_takes_back_an_estimate():
    estimated = leg(state=State.CLOSED, closed_at=at(90), estimated=True, facts=Facts(known_seconds=60))
    charged, _ = settle(estimated, DEFINITIONS, LIMITS)
    corrected, xdr = settle(heard(charged, stop(None)), DEFINITIONS, LIMITS)

    assert (charged.posted, corrected.posted) == (Decimal("0.60"), 0)
    assert xdr.reason is Unbillable.NO_DURATION


def test_a_termination_leg_is_priced_by_the_vendors_table_and_only_recorded_without_one():
    vendors = unauthorized(leg=Leg.TERMINATION, client_id=VENDOR.id, account_id=VENDOR_ACCOUNT.id)
    nobodys = unauthorized(leg=Leg.TERMINATION, client_id=None, account_id=None)

    assert settled(vendors, stop(60)).amount == Decimal("0.30")
    assert settled(nobodys, stop(60)).state is XdrState.RECORDED


# A Start at noon, a Stop 100 seconds later: the slack is 120 seconds.
BOUNDS: list[tuple[Session, list[Report], int | None]] = [
    (leg(), [], 220),
    (leg(authorized_at=at(40), opened_at=at(40)), [], 180),
    (unauthorized(), [], None),
    (unauthorized(), [start()], None),
    (unauthorized(), [start(is_delay_told=True)], 220),
    (unauthorized(), [start(is_delay_told=True, delay_seconds=30)], 250),
    (unauthorized(), [start(is_delay_told=True), start()], 220),
    (unauthorized(), [start(), start(is_delay_told=True, delay_seconds=5)], 225),
    (unauthorized(), [start(event_at=at(-10))], 230),
    (unauthorized(), [start(event_at=at(-10), is_delay_told=True)], 230),
    (unauthorized(), [start(event_at=at(10), is_delay_told=True)], 220),
    (unauthorized(), [start(connect_at=at(20))], 200),
    (unauthorized(), [start(setup_at=at(-30), is_before_answer=True)], 250),
    (unauthorized(), [start(setup_at=at(-30), connect_at=at(20))], 200),
    (unauthorized(), [start(event_at=at(500))], None),
]


@pytest.mark.parametrize(("session", "starts", "most"), BOUNDS)
def test_no_stop_tells_more_seconds_than_have_passed_since_the_earliest_start(session, starts, most):
    known = heard(session, *starts, now=NOON)
    told = 86_400 if most is None else most

    assert settled(known, stop(told)).state is XdrState.RATED
    if most is not None:
        assert settled(known, stop(most + 1)).reason is Unbillable.OVERRUN
        assert settled(known, stop(most + 1, overrun_is_charged=True)).state is XdrState.RATED


@pytest.mark.parametrize(
    ("told", "seconds", "reason"),
    [
        ([], 100, None),
        ([start()], 1, None),
        ([start()], 2, Unbillable.CONTRADICTORY_TIME),
        ([start(delay_seconds=2)], 0, Unbillable.CONTRADICTORY_TIME),
        ([start(is_before_answer=True)], 100, None),
        ([start(event_at=NOON)], 100, None),
    ],
)
def test_a_stop_of_no_seconds_counts_unless_an_answer_was_told_that_lasted(told, seconds, reason):
    known = heard(leg(), *told, now=NOON)
    ended = hear(known, stop(0, event_at=NOON), LIMITS, at(seconds))

    xdr = settle(ended, DEFINITIONS, LIMITS)[1]

    assert (xdr.reason, xdr.amount) == (reason, 0)


UNBILLABLE: list[tuple[Session, Report, Unbillable]] = [
    (unauthorized(client_id=None, account_id=None), stop(60), Unbillable.NO_ACCOUNT),
    (unauthorized(called="331234"), stop(60), Unbillable.NO_RATE),
    (unauthorized(called="alice"), stop(60), Unbillable.NO_RATE),
    (unauthorized(), stop(None), Unbillable.NO_DURATION),
    (leg(), stop(None), Unbillable.NO_DURATION),
    (unauthorized(), stop(86_401), Unbillable.IMPLAUSIBLE_DURATION),
    (leg(), stop(86_401), Unbillable.OVERRUN),
    (leg(), stop(None, connect_at=at(9), disconnect_at=NOON), Unbillable.CONTRADICTORY_TIME),
    (leg(), stop(0, connect_at=NOON, disconnect_at=at(183)), Unbillable.CONTRADICTORY_TIME),
    (leg(facts=Facts(known_seconds=180)), stop(0), Unbillable.CONTRADICTORY_TIME),
]


@pytest.mark.parametrize(("session", "told", "reason"), UNBILLABLE)
def test_what_cannot_be_billed_says_why_and_costs_nothing(session, told, reason):
    xdr = settled(session, told)

    assert (xdr.state, xdr.reason, xdr.amount, xdr.billed_seconds) == (XdrState.UNBILLABLE, reason, 0, 0)


def test_every_reason_is_shown():
    assert {row[-1] for row in UNBILLABLE} == set(Unbillable)


@pytest.mark.parametrize("session", [leg(), unauthorized(called="331234"), unauthorized(client_id=None)])
def test_a_call_that_was_never_answered_needs_no_rate_and_no_account(session):
    xdr = settled(session, failed())

    assert (xdr.amount, xdr.reason, xdr.duration_seconds) == (0, None, 0)


# --- bill_by ----------------------------------------------------------------------------------------

# The price doubles while the call of the full Stop is set up, answered or ended.
BY_MOMENT = [(BillBy.SETUP, 1), (BillBy.CONNECT, 5), (BillBy.DISCONNECT, 100)]


def billed_by(moment: BillBy, changes_at: int) -> Catalogue:
    rates = [rate("0.60/min 1/1"), rate("1.20/min 1/1", effective_from=at(changes_at))]
    return catalogue((replace(ALICE, bill_by=moment), [ALICE_ACCOUNT]), sold=rates)


@pytest.mark.parametrize(("moment", "second"), BY_MOMENT)
def test_the_clients_choice_dates_the_xdr_and_picks_the_rate_of_a_call_never_authorized(moment, second):
    just_in_time = settled(unauthorized(), FULL_STOP, definitions=billed_by(moment, second))
    too_late = settled(unauthorized(), FULL_STOP, definitions=billed_by(moment, second + 1))

    assert just_in_time.dated_at == too_late.dated_at == at(second)
    assert (just_in_time.amount, too_late.amount) == (Decimal("1.90"), Decimal("0.95"))


@pytest.mark.parametrize(("moment", "second"), BY_MOMENT)
def test_the_date_does_not_change_the_price_of_an_authorized_call(moment, second):
    xdr = settled(leg(), FULL_STOP, definitions=billed_by(moment, 0))

    assert (xdr.dated_at, xdr.amount) == (at(second), Decimal("0.95"))


@pytest.mark.parametrize(
    ("told", "setup", "connect", "disconnect"),
    [
        ([stop(60)], 40, 40, 100),
        ([stop(60, event_at=at(90))], 30, 30, 90),
        ([start(event_at=at(10)), stop(60, event_at=at(90))], 10, 10, 90),
        ([stop(60, disconnect_at=at(80))], 20, 20, 80),
        ([stop(60, connect_at=at(7), disconnect_at=at(80))], 7, 7, 80),
        ([stop(60, setup_at=at(1), connect_at=at(7), disconnect_at=at(80))], 1, 7, 80),
    ],
)
def test_a_moment_that_was_not_told_follows_from_the_others(told, setup, connect, disconnect):
    moments = [(BillBy.SETUP, setup), (BillBy.CONNECT, connect), (BillBy.DISCONNECT, disconnect)]
    for moment, second in moments:
        assert settled(leg(), *told, definitions=billed_by(moment, 0)).dated_at == at(second)


def rated_again(told: Iterable[Report]) -> list[Decimal]:
    """Settle after each record, as it happens, and return what was posted each time."""
    definitions = billed_by(BillBy.DISCONNECT, 120)
    session, posted = unauthorized(), []
    for record in told:
        session, _ = settle(heard(session, record), definitions, LIMITS)
        posted.append(session.posted)
    return posted


def test_a_later_date_picks_the_rate_again_for_a_call_never_authorized():
    assert rated_again([stop(60, event_at=at(60)), stop(61, event_at=at(130))]) == [
        Decimal("0.60"),
        Decimal("1.22"),
    ]


def test_a_stop_that_comes_again_under_a_later_date_changes_nothing():
    assert rated_again([stop(60, event_at=at(60)), stop(60, event_at=at(130))]) == [Decimal("0.60")] * 2


def test_a_rate_that_was_chosen_for_another_date_is_not_kept_while_nothing_can_be_charged():
    """The estimate was dated before the price changed; the real end is after it."""
    definitions = billed_by(BillBy.DISCONNECT, 120)
    silent = unauthorized(state=State.CLOSED, closed_at=at(90), estimated=True, facts=Facts(known_seconds=60))
    estimated, _ = settle(silent, definitions, LIMITS)
    unknown, _ = settle(heard(estimated, stop(None, event_at=at(130))), definitions, LIMITS)
    rated, _ = settle(heard(unknown, start(event_at=at(70))), definitions, LIMITS)

    assert (estimated.posted, unknown.posted, rated.posted) == (Decimal("0.60"), 0, Decimal("1.20"))
