"""Legs of one name: how a new one is numbered, and which old ones are let go of."""

from decimal import Decimal
from typing import Any

from calls import NOON

from billing_core.books import LEGS_KEPT, Books, LegsRead
from billing_core.session import Leg, Session, State

KEY = b"k" * 16


def leg(generation: int, **fields: Any) -> Session:
    """Return an ended leg of nobody."""
    told: dict[str, Any] = {"nas": "gw", "nas_box": "gw-1", "call_id": "call-1", "session_id": "1"}
    told |= {"calling": "", "called": "44", "client_id": None, "account_id": None}
    told |= {"opened_at": NOON, "look_at": NOON, "last_heard_at": NOON, "state": State.CLOSED}
    return Session(leg_key=KEY, generation=generation, leg=Leg.ORIGINATION, **(told | fields))


def books(*legs: Session) -> Books:
    return Books({}, LegsRead(frozenset({KEY}), {one.id: one for one in legs}), {}, {})


def test_a_new_leg_is_numbered_beyond_all_and_asking_for_the_number_changes_nothing() -> None:
    crowd = books(*(leg(generation) for generation in range(3, 3 + LEGS_KEPT)))

    assert [crowd.next_generation(KEY) for _ in range(2)] == [3 + LEGS_KEPT] * 2
    assert books().next_generation(KEY) == 0
    assert not crowd.changes.forgotten


def test_the_oldest_ended_legs_are_let_go_of_when_another_comes() -> None:
    crowd = books(*(leg(generation) for generation in range(LEGS_KEPT + 2)))
    crowd.put(leg(LEGS_KEPT + 2, state=State.ACTIVE), NOON)

    assert crowd.changes.forgotten == [(KEY, 0), (KEY, 1), (KEY, 2)]
    assert [one.generation for one in crowd.legs([KEY])] == list(range(3, LEGS_KEPT + 3))
    assert crowd.next_generation(KEY) == LEGS_KEPT + 3


def test_a_leg_under_way_or_with_money_is_never_let_go_of() -> None:
    held = [leg(0, state=State.ACTIVE), leg(1, reserved=Decimal(1))]
    crowd = books(*held, *(leg(generation) for generation in range(2, 2 + LEGS_KEPT)))
    crowd.put(leg(2 + LEGS_KEPT), NOON)

    assert crowd.changes.forgotten == [(KEY, 2)]


def test_a_leg_that_is_put_again_lets_go_of_none() -> None:
    crowd = books(*(leg(generation) for generation in range(LEGS_KEPT + 2)))
    crowd.put(leg(LEGS_KEPT + 1, called="4420"), NOON)

    assert not crowd.changes.forgotten
