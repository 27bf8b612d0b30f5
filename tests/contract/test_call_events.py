"""Events about calls: of one kind and NAS ten a minute are kept singly, and the others are counted."""

import threading
from datetime import datetime

import pytest
from calls import NOON, at
from worlds import World

from billing_core.call_event import CallEvent, CallEventKind
from billing_core.ports import Changes

OVERRUN, GUESSED = CallEventKind.OVERRUN, CallEventKind.GUESSED_LEG


def event(
    call_id: str, kind: CallEventKind = OVERRUN, nas: str = "gw", when: datetime = NOON, client: int = 1
) -> CallEvent:
    return CallEvent(when, kind, nas, client, call_id, "", {"seconds": 7})


def write(world: World, *events: CallEvent) -> None:
    with world.new_storage().turn() as turn:
        turn.record(Changes(events=list(events)))


def counts(world: World) -> list[tuple[str, int]]:
    return [(call_id, count) for _, _, _, call_id, count in world.events()]


def test_an_event_is_kept_as_it_was_told(world: World) -> None:
    write(world, event("a"))

    assert world.events() == [("overrun", 1, "gw", "a", 1)]


@pytest.mark.parametrize("batches", [[12], [1] * 12, [10, 2], [11, 1], [4, 7, 1]], ids=str)
def test_the_eleventh_of_a_minute_counts_the_others(world: World, batches: list[int]) -> None:
    names = iter(f"{number}" for number in range(sum(batches)))
    for size in batches:
        write(world, *(event(next(names), when=at(size)) for _ in range(size)))

    assert counts(world) == [*((f"{number}", 1) for number in range(10)), ("10", 2)]


def test_another_kind_and_another_nas_are_counted_apart(world: World) -> None:
    for call, kind, nas in (("a", OVERRUN, "gw"), ("b", GUESSED, "gw"), ("c", OVERRUN, "other")):
        write(world, *(event(call, kind, nas) for _ in range(9)))
    write(world, *(event("d", nas=nas) for nas in ("gw", "other") for _ in range(3)))

    assert [item[2:] for item in world.events()[27:]] == [
        *(("gw", "d", count) for count in (1, 2)),
        *(("other", "d", count) for count in (1, 2)),
    ]


def test_the_next_minute_begins_anew(world: World) -> None:
    write(world, *(event("a", when=at(59)) for _ in range(30)))
    write(
        world, event("b", when=at(60)), event("c", when=at(59)), *(event("d", when=at(119)) for _ in range(3))
    )

    assert counts(world) == [*[("a", 1)] * 10, ("a", 21), ("b", 1), ("d", 1), ("d", 1), ("d", 1)]


def test_turns_at_once_count_as_one_after_the_other(world: World) -> None:
    barrier = threading.Barrier(4)

    def tell(number: int) -> None:
        storage = world.new_storage()
        for _ in range(10):
            barrier.wait(10)
            with storage.turn() as turn:
                # In either order: whoever waits for one waits for nobody who waits for the other.
                events = [event("x"), event("x", GUESSED)]
                turn.record(Changes(events=events if number % 2 else events[::-1]))

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    for kind in ("overrun", "guessed_leg"):
        assert [count for told, *_, count in world.events() if told == kind] == [1] * 10 + [30]
