"""Which leg a question or a record is of, where a caller chooses what names the call."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from calls import (
    ALICE_ACCOUNT,
    NOON,
    SOLD,
    VENDOR_ACCOUNT,
    at,
    failed,
    interim,
    rate,
    report,
    request,
    start,
    stop,
)

from billing_core.asked import Asked, asked_text
from billing_core.call_event import CallEventKind
from billing_core.client import Account
from billing_core.conversation import conversation
from billing_core.facts import Facts
from billing_core.legs import Evidence, Finding, Sought, reported
from billing_core.report import Kind, Report
from billing_core.session import Leg, Session, State, leg_key

LONDON, CUBA = "442071234567", "5312345678"
DEAR = rate("6/min 1/1", "53")
BY_CALL = {"call_id": "call-1", "session_id": "call-1"}
"""A switch that has no name of a session but the call id."""


def leg(number: int = 0, **fields: Any) -> Session:
    """Return a leg of Alice's that was accepted at noon, and of which nothing was heard."""
    opened = Session(
        leg_key=leg_key("gw", "call-1", Leg.ORIGINATION),
        generation=number,
        nas="gw",
        nas_box="gw-1",
        leg=Leg.ORIGINATION,
        state=State.RESERVED,
        call_id="call-1",
        session_id="",
        calling="1222333",
        called=LONDON,
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
        questions=1,
    )
    return opened._replace(**fields)


def talking(number: int = 0, **fields: Any) -> Session:
    return leg(number, **{"state": State.ACTIVE, "facts": Facts(answered=True)} | fields)


def ended(number: int = 0, **fields: Any) -> Session:
    facts = Facts(stop_seconds=60, stopped=True, stop_event_at=at(60))
    return leg(number, **{"state": State.CLOSED, "closed_at": at(60), "facts": facts} | fields)


def tried(number: int = 0, **fields: Any) -> Session:
    facts = Facts(failed=True, stop_event_at=at(60))
    return leg(number, **{"state": State.CLOSED, "closed_at": at(60), "facts": facts} | fields)


def asked(*legs: Session, account: Account = ALICE_ACCOUNT, number: str = LONDON, **fields: Any) -> str:
    """Return what a question finds: `new`, or the generation of the leg, `moved` if for another number."""
    found = conversation(request(**fields), account, number, legs)
    if found is None:
        return "new"
    return f"{found.leg.generation} moved" if found.is_moved else str(found.leg.generation)


def heard(told: Report, *legs: Session, account: Account | None = ALICE_ACCOUNT, now: int = 70) -> Finding:
    sought = Sought(told, account, lambda _: None, lambda _: False, at(now))
    return reported(sought, legs)


# --- questions --------------------------------------------------------------------------------------

TAGGED = {"tags": ("a",), **BY_CALL}

# what is asked | the legs of the call id | what the question finds
QUESTIONS: list[tuple[str, dict[str, Any], Sequence[Session], str]] = [
    ("nothing is known", {}, [], "new"),
    ("the same again", {}, [leg()], "0"),
    ("the same, while they talk", {}, [talking()], "0"),
    ("another number", {"number": CUBA}, [leg()], "new"),
    ("another number, while they talk", {"number": CUBA}, [talking()], "new"),
    ("another account", {"account": VENDOR_ACCOUNT}, [leg()], "new"),
    ("an ended call", {}, [ended()], "new"),
    ("a call whose grant ran out", {}, [leg(state=State.RELEASED)], "0"),
    ("the same dialog again", TAGGED, [leg(tags=("a",))], "0"),
    ("the same dialog, when both its ends are known", TAGGED, [talking(tags=("a", "b"))], "0"),
    ("another dialog", TAGGED, [leg(tags=("b",))], "new"),
    ("another dialog of a call that talks", TAGGED, [talking(tags=("b", "c"))], "new"),
    ("the same dialog, for another number", TAGGED | {"number": CUBA}, [leg(tags=("a",))], "0 moved"),
    ("so, when it had given its money back", TAGGED | {"number": CUBA},
     [leg(tags=("a",), state=State.RELEASED)], "0 moved"),
    ("so, when they talk already", TAGGED | {"number": CUBA}, [talking(tags=("a", "b"))], "new"),
    ("a number it was asked for before", TAGGED | {"number": CUBA},
     [leg(tags=("a",), asked=asked_text([Asked(CUBA, DEAR)]))], "0"),
    ("another session", {"session_id": "s2"}, [leg(asked_session_id="s1")], "new"),
    ("the same session", {"session_id": "s1"}, [leg(asked_session_id="s1")], "0"),
    ("the same session, for another number", {"session_id": "s1", "number": CUBA},
     [leg(asked_session_id="s1")], "0 moved"),
    ("a session that records named", {"session_id": "s1"}, [talking(session_id="s1")], "0"),
    ("one of two", TAGGED, [leg(0, tags=("b",)), leg(1, tags=("a",))], "1"),
    ("an open one before one whose grant ran out", {}, [leg(0, state=State.RELEASED), leg(1)], "1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("says", "legs", "found"), [row[1:] for row in QUESTIONS], ids=[row[0] for row in QUESTIONS]
)
def test_a_question_is_about_a_leg_or_begins_one(says, legs, found):
    assert asked(*legs, **{"session_id": "", **says}) == found


# --- records ----------------------------------------------------------------------------------------

CHEAP_AND_DEAR = [leg(0), leg(1, called=CUBA, rate=DEAR)]
FORKED = [talking(0, tags=("a", "b1"))]
KEY = leg().leg_key


def told(kind: Kind, **fields: Any) -> Report:
    return report(kind, **BY_CALL | fields)


# what is told | the legs of the call id | the leg, None: one of its own | by what | what an admin is told
RECORDS: list[tuple[str, Report, Sequence[Session], int | None, Evidence | None, CallEventKind | None]] = [
    ("nothing is known", told(Kind.START), [], None, None, None),
    ("our Class", told(Kind.START, called=CUBA, linked=(KEY, 0)), CHEAP_AND_DEAR, 0, Evidence.CLASS, None),
    ("a Class without generation", told(Kind.STOP, linked=(KEY, None)), [leg()], 0, Evidence.CLASS, None),
    ("the session that its Start named", told(Kind.STOP, session_id="s1", called=CUBA),
     [talking(0, session_id="s1"), leg(1, called=CUBA)], 0, Evidence.SESSION, None),
    ("the session that its question named", told(Kind.START, session_id="s1", called=CUBA),
     [leg(0, asked_session_id="s1"), leg(1, called=CUBA)], 0, Evidence.SESSION, None),
    ("the tags of its Start", told(Kind.STOP, tags=("a", "b"), called=CUBA),
     [talking(0, tags=("a", "b")), leg(1, called=CUBA)], 0, Evidence.TAGS, None),
    ("the tag of its question", told(Kind.START, tags=("a", "b")), [leg(0, tags=("a",)), leg(1, tags=("c",))],
     0, Evidence.NUMBER, None),
    ("its number", told(Kind.START, called=CUBA), CHEAP_AND_DEAR, 1, Evidence.NUMBER, None),
    ("its number in another form", told(Kind.START, called="+5312345678"), CHEAP_AND_DEAR, 1,
     Evidence.NUMBER, None),
    ("the number of who hangs up", told(Kind.STOP, calling=CUBA, called="1222333"), CHEAP_AND_DEAR, 1,
     Evidence.NUMBER, None),
    ("a caller who pretends to be the other number", told(Kind.STOP, calling=CUBA, called=LONDON),
     CHEAP_AND_DEAR, 0, Evidence.NUMBER, None),
    ("its account", told(Kind.START, called=""), [leg(0, account_id=11), leg(1)], 1, Evidence.ACCOUNT, None),
    ("nothing that decides", told(Kind.START, called=""), CHEAP_AND_DEAR, 1, Evidence.GUESS,
     CallEventKind.GUESSED_LEG),
    ("nothing that decides, and one has begun", told(Kind.START, called=""),
     [leg(0), talking(1, called=CUBA, rate=DEAR)], 0, Evidence.GUESS, CallEventKind.GUESSED_LEG),
    ("another number", told(Kind.STOP, called="3312345"), CHEAP_AND_DEAR, None, None,
     CallEventKind.ANOTHER_NUMBER),
    ("another number, where numbers change", told(Kind.STOP, called="3312345", numbers_change=True),
     [leg()], 0, Evidence.ACCOUNT, None),
    ("no number, and the dearer call had given its money back", told(Kind.START, numbers_change=True),
     [leg(0, called=CUBA, rate=DEAR, state=State.RELEASED), leg(1)], 0, Evidence.GUESS,
     CallEventKind.GUESSED_LEG),
    ("so, long after its time was over", told(Kind.START, numbers_change=True),
     [leg(0, called=CUBA, rate=DEAR, state=State.RELEASED, authorized_at=at(-200), credit_time_seconds=10),
      leg(1)], 1, Evidence.GUESS, CallEventKind.GUESSED_LEG),
    ("a failure that is told again", told(Kind.FAILED, numbers_change=True), [leg(0), tried(1)], 1,
     Evidence.ACCOUNT, None),
    ("a failure after the next Accept", told(Kind.FAILED, numbers_change=True),
     [leg(0, opened_at=at(61)), tried(1)], 0, Evidence.ACCOUNT, None),
    ("the second dialog of a fork", told(Kind.START, tags=("a", "b2")), FORKED, None, None,
     CallEventKind.ANOTHER_DIALOG),
    ("the second dialog of a fork, with the Class of the first",
     told(Kind.START, tags=("a", "b2"), linked=(KEY, 0)), FORKED, None, None, CallEventKind.ANOTHER_DIALOG),
    ("another session", told(Kind.STOP, session_id="s2"), [talking(session_id="s1")], None, None,
     CallEventKind.ANOTHER_DIALOG),
    ("another session of an ended call", told(Kind.STOP, session_id="s2"), [ended(session_id="s1")], None,
     None, CallEventKind.ANOTHER_DIALOG),
    ("a failure of a call that was answered", told(Kind.FAILED), [talking()], 0, Evidence.NUMBER,
     CallEventKind.FAILED_AFTER_ANSWER),
    ("a failure beside a call that was answered", told(Kind.FAILED), [talking(0), leg(1)], 1,
     Evidence.NUMBER, None),
    ("a failure of another number", told(Kind.FAILED, called=CUBA), [talking()], None, None,
     CallEventKind.ANOTHER_NUMBER),
    ("a Stop after the next Accept", told(Kind.STOP, session_seconds=5), [ended(0), leg(1, opened_at=at(61))],
     1, Evidence.NUMBER, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "legs", "generation", "evidence", "event"),
    [row[1:] for row in RECORDS],
    ids=[row[0] for row in RECORDS],
)
def test_a_record_is_of_the_leg_that_it_tells(what, legs, generation, evidence, event):
    found = heard(what, *legs)

    assert (found.leg.generation if found.leg else None) == generation
    assert evidence is None or found.evidence is evidence
    assert found.event is event


@pytest.mark.parametrize(
    ("mark", "generation"), [({"ip": "192.0.2.1"}, 0), ({"calling": "1555"}, 1), ({"name": "nobody"}, 1)]
)
def test_a_record_whose_tech_prefix_was_taken_off_is_of_the_account_that_has_its_mark(mark, generation):
    accounts = {
        10: Account(id=10, client_id=1, ip="192.0.2.1", tech_prefix="777"),
        11: Account(id=11, client_id=2, ani="1555"),
    }
    what = told(
        Kind.START, **{"name": None, "ip": None, "called": "1999" + LONDON, "numbers_change": True} | mark
    )
    sought = Sought(what, None, lambda leg: accounts[leg.account_id or 0], lambda _: False, at(70))
    found = reported(sought, [leg(0), leg(1, account_id=11, client_id=2, called=CUBA, rate=DEAR)])

    assert found.leg is not None
    assert found.leg.generation == generation


def test_the_same_call_from_another_side_is_a_further_leg_and_another_session_alone_is_none():
    voip = talking(session_id="voip", call_type="voip")

    assert heard(told(Kind.START, session_id="tel", call_type="telephony"), voip).is_further
    assert not heard(told(Kind.START, session_id="tel", call_type="voip"), voip).is_further
    assert not heard(told(Kind.START, session_id="tel"), voip).is_further
    assert not heard(told(Kind.START, session_id="tel", call_type="telephony", called=CUBA), voip).is_further


# --- repetitions ------------------------------------------------------------------------------------

TOLD = {"connect_at": NOON, "disconnect_at": at(60)}


def a_stop(seconds: int | None = 60, **fields: Any) -> Report:
    return stop(seconds, **BY_CALL | fields)


# what comes after a Stop of 60 s | whether it repeats it, is of the same leg (corrects), or of another
AFTERWARDS: list[tuple[str, Report, str]] = [
    ("the same", a_stop(event_at=at(60)), "repeats"),
    ("the same, dated anew", a_stop(event_at=at(4000)), "repeats"),
    ("the same, dated by its delay", a_stop(delay_seconds=4000), "repeats"),
    ("the same with its own dates", a_stop(event_at=at(4000), **TOLD), "repeats"),
    ("another answer", a_stop(event_at=at(4000), connect_at=at(3900), disconnect_at=at(3960)), "another"),
    ("another duration", a_stop(90, event_at=at(70)), "same leg"),
    ("another duration, much later", a_stop(90, event_at=at(4000)), "another"),
    ("no duration", a_stop(None, event_at=at(4000)), "repeats"),
    ("another caller, much later", a_stop(event_at=at(4000), calling="999"), "another"),
    ("a failure", failed(**BY_CALL), "repeats"),
    ("a Start, much later", start(event_at=at(4000), **BY_CALL), "another"),
    ("a Start that is late", start(event_at=NOON, **BY_CALL), "same leg"),
    ("an Interim that is late", interim(30, event_at=at(30), **BY_CALL), "same leg"),
]


@pytest.mark.parametrize(
    ("what", "meant"), [row[1:] for row in AFTERWARDS], ids=[row[0] for row in AFTERWARDS]
)
def test_a_repetition_is_known_by_what_it_says(what, meant):
    facts = Facts(stop_seconds=60, stopped=True, stop_event_at=at(60), **TOLD)
    found = heard(what, ended(facts=facts), now=4001)

    is_another = found.leg is None
    assert ("another" if is_another else "repeats" if found.is_repetition else "same leg") == meant


def test_a_stop_that_comes_again_after_its_device_has_begun_anew_is_of_another_call():
    sought = Sought(a_stop(), ALICE_ACCOUNT, lambda _: None, lambda _: True, at(4001))

    assert reported(sought, [ended()]).leg is None


def test_a_stop_with_the_dates_of_an_ended_call_repeats_it_though_another_is_up():
    facts = Facts(stop_seconds=60, stopped=True, **TOLD)
    found = heard(
        a_stop(event_at=at(4000), **TOLD), ended(facts=facts), talking(1, opened_at=at(100)), now=4001
    )

    assert (found.leg and found.leg.generation, found.is_repetition) == (0, True)


def test_a_stop_that_is_longer_than_the_next_call_can_be_repeats_the_one_before():
    found = heard(a_stop(), ended(), talking(1, opened_at=at(65)), now=70)

    assert (found.leg and found.leg.generation, found.is_repetition) == (0, True)
