"""What an admin is told of calls that are odd, as they happen."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, at, catalogue, failed, request, start, stop
from memory import MemoryStorage
from worlds import memory_world

from billing_core.authorization import Authorized, Denied
from billing_core.books import OPEN_LEGS_MAX
from billing_core.call_event import CallEventKind
from billing_core.charging import Charging, Request
from billing_core.client import Concurrency, Policy
from billing_core.denial import Denial
from billing_core.limits import Limits

BOB = {"name": "bob"}
SESSION = {"session_id": "s1"}
TAGS = {"tags": ("a", "b"), "session_id": "call-1"}

# what happens, each at its second | what is told
ODD: list[tuple[str, Sequence[tuple[Request, int]], list[CallEventKind]]] = [
    ("a plain call", [(request(), 0), (start(), 5), (stop(60), 65)], []),
    ("longer than granted", [(request(**BOB), 0), (stop(170, **BOB), 171)], [CallEventKind.OVER_GRANT]),
    ("longer than can be true", [(request(), 0), (stop(500), 10)], [CallEventKind.OVERRUN]),
    (
        "no time, though it was answered",
        [(request(), 0), (stop(0, connect_at=NOON, disconnect_at=at(100)), 100)],
        [CallEventKind.CONTRADICTORY_TIME],
    ),
    (
        "another number in its own session",
        [(request(**SESSION), 0), (start(called="5312345", **SESSION), 5)],
        [CallEventKind.NUMBER_DIFFERS],
    ),
    (
        "a failure of a call that was answered",
        [(request(), 0), (start(), 5), (failed(), 6)],
        [CallEventKind.FAILED_AFTER_ANSWER],
    ),
    (
        "a number that nobody asked for",
        [(request(session_id=""), 0), (start(called="4420799", session_id=""), 5)],
        [CallEventKind.ANOTHER_NUMBER],
    ),
    (
        "the second dialog of a fork",
        [(request(session_id="call-1"), 0), (start(**TAGS), 5), (start(**TAGS | {"tags": ("a", "c")}), 5)],
        [CallEventKind.ANOTHER_DIALOG],
    ),
]


@pytest.mark.parametrize(("happens", "told"), [row[1:] for row in ODD], ids=[row[0] for row in ODD])
def test_what_is_odd_about_a_call_is_told_once(happens, told):
    world = memory_world()
    charging, storage = world.charging(), world.new_storage()
    for what, second in happens:
        charging.handle([what], at(second))

    assert isinstance(storage, MemoryStorage)
    assert [event.kind for event in storage.events] == told


def test_a_call_that_begins_after_its_money_was_given_back_is_told():
    world = memory_world()
    charging, storage = world.charging(), world.new_storage()
    charging.handle([request(unheard_seconds=60)], NOON)
    world.sweep().run(at(60))
    charging.handle([start()], at(70))

    assert isinstance(storage, MemoryStorage)
    assert [event.kind for event in storage.events] == [CallEventKind.LATE_START]


def test_a_caller_cannot_have_more_calls_of_one_call_id_than_so_many():
    carefree = replace(ALICE, concurrency=Concurrency(Policy.NONE))
    charging = Charging(memory_world().new_storage(), catalogue((carefree, [ALICE_ACCOUNT])), Limits())
    asked = [request(call_id="call-1", session_id=f"s{number}") for number in range(OPEN_LEGS_MAX + 1)]
    *accepted, refused = charging.handle(asked, NOON)

    assert all(isinstance(outcome, Authorized) for outcome in accepted)
    assert isinstance(refused, Denied)
    assert refused.reason is Denial.MALFORMED
    (repeated,) = charging.handle([asked[0]], at(1))
    assert isinstance(repeated, Authorized)
