"""Who comes to its turn first, who has waited too long, and who gives way when too much waits."""

from itertools import count
from typing import Any

import pytest

from radiusd import backlog
from radiusd.backlog import Arrival, Backlog, Urgency, urgency
from radiusd.codec import encode
from radiusd.nas import Nas, network
from radiusd.sockets import Datagram
from radiusd.wire import Code, DropReason, Port, request

DOOR: Any = None
NORTH, SOUTH = (
    Nas(name, (network(address),), b"secret", "cisco", patience_seconds=patience)
    for name, address, patience in (("north", "192.0.2.1", 2.0), ("south", "192.0.2.2", 5.0))
)
START, STOP, INTERIM, ON = 1, 2, 3, 7
_numbers = count()


def arrival(octets: bytes, at: float, nas: Nas = NORTH, port: Port = Port.ACCOUNTING) -> Arrival:
    source = (str(nas.networks[0].network_address), 1812)
    return Arrival(nas, DOOR, 7, port, Datagram(octets, source, source, []), at)


def question(at: float, nas: Nas = NORTH) -> Arrival:
    octets = request(Code.ACCESS_REQUEST, next(_numbers) % 256, encode("User-Name", "alice"), b"secret")
    return arrival(octets, at, nas, Port.AUTHENTICATION)


def record(status: int, at: float, nas: Nas = NORTH) -> Arrival:
    attributes = encode("Acct-Session-Id", str(next(_numbers))) + encode("Acct-Status-Type", status)
    return arrival(request(Code.ACCOUNTING_REQUEST, 1, attributes, b"secret"), at, nas)


def ping(at: float, port: Port = Port.AUTHENTICATION) -> Arrival:
    return arrival(request(Code.STATUS_SERVER, next(_numbers) % 256, b"", b"secret"), at, port=port)


def filled(*arrivals: Arrival) -> Backlog:
    waiting = Backlog()
    for each in arrivals:
        waiting.put(each)
    return waiting


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few be too many."""
    full_size = backlog.Backlog.__init__

    def begin(self: Backlog) -> None:
        full_size(self)
        for queues in self._waiting.values():
            queues._room = 4

    monkeypatch.setattr(backlog.Backlog, "__init__", begin)


@pytest.mark.parametrize(
    ("status", "urgent"),
    [
        (START, Urgency.RECORD),
        (INTERIM, Urgency.RECORD),
        (ON, Urgency.RECORD),
        (STOP, Urgency.END),
        (0x02000000, Urgency.RECORD),
    ],
)
def test_a_stop_is_known_by_its_status_alone(status: int, urgent: Urgency) -> None:
    assert urgency(record(status, 0).datagram.octets, Port.ACCOUNTING) is urgent


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x04",
        bytes(20),
        bytes([4]) + bytes(19) + b"\x28",
        bytes([4]) + bytes(19) + b"\x28\x00\x00\x02",
        bytes([4]) + bytes(19) + b"\x01\x00" * 2000,
        bytes([4]) + bytes(19) + b"\x01\xff\x28\x06\x00\x00\x00\x02",
    ],
)
def test_nonsense_is_no_stop_and_ends(octets: bytes) -> None:
    assert urgency(octets, Port.ACCOUNTING) is Urgency.RECORD
    assert urgency(octets, Port.AUTHENTICATION) is Urgency.QUESTION


def test_what_fits_comes_in_the_order_in_which_it_came() -> None:
    came = [question(1), record(STOP, 2), ping(3), record(START, 4), question(5), ping(6, Port.ACCOUNTING)]

    assert filled(*reversed(came)).take(6) == came


def test_ends_come_first_then_other_records_then_questions_and_pings_take_no_place() -> None:
    asked, started, ended, pinged = question(1), record(START, 2), record(STOP, 3), ping(4)
    waiting = filled(asked, started, ended, pinged)

    assert [waiting.take(1) for _ in range(5)] == [[ended, pinged], [started], [asked], [], []]


def test_records_leave_a_quarter_of_a_turn_to_questions() -> None:
    waiting = filled(*(record(STOP, at) for at in range(20)), *(question(at) for at in range(20)))

    taken = waiting.take(8)

    assert [urgency(each.datagram.octets, each.port) for each in taken].count(Urgency.QUESTION) == 2
    assert len(taken) == 8


def test_of_questions_the_newest_come_first_and_of_records_the_oldest() -> None:
    asked, ended = [question(at) for at in range(5)], [record(STOP, at) for at in range(5)]

    assert filled(*asked).take(2) == asked[-2:]
    assert filled(*ended).take(2) == ended[:2]


@pytest.mark.parametrize("kind", ["question", "record"])
def test_each_nas_has_its_share_however_much_another_sends(kind: str) -> None:
    crowd, few = (
        ([question(at) for at in range(50)], [question(at, SOUTH) for at in range(3)])
        if kind == "question"
        else ([record(STOP, at) for at in range(50)], [record(STOP, at, SOUTH) for at in range(3)])
    )

    assert [each.nas.name for each in filled(*crowd, *few).take(6)].count("south") == 3


def test_a_question_older_than_its_switch_waits_is_given_up_and_no_record_ever() -> None:
    stale, fresh, patient, old = question(0.9), question(1.1), question(0, SOUTH), record(STOP, -1000)
    waiting = filled(stale, fresh, patient, old)

    assert list(waiting.give_up(3.0)) == [(stale, DropReason.STALE)]
    assert waiting.take(9) == [old, patient, fresh]


def test_a_repetition_of_what_waits_is_not_decided_twice() -> None:
    waiting = Backlog()
    asked, ended = question(0.0), record(STOP, 0.0)

    assert [waiting.put(each) for each in (asked, ended)] == [True, True]
    assert [waiting.put(each._replace(at=1.9)) for each in (asked, ended)] == [False, False]
    assert len(waiting) == 2
    # The switch waits for its repetition from then on.
    assert list(waiting.give_up(3.0)) == []
    assert [each.at for each in waiting.take(9)] == [1.9, 1.9]


def test_a_record_that_is_repeated_keeps_its_place() -> None:
    waiting = filled(first := record(STOP, 0.0), second := record(STOP, 0.5), first._replace(at=1.9))

    assert waiting.take(1) == [first._replace(at=1.9)]
    assert waiting.take(1) == [second]


def test_a_question_that_is_repeated_is_the_newest() -> None:
    waiting = filled(first := question(0.0), second := question(0.5), first._replace(at=1.9))

    assert waiting.take(1) == [first._replace(at=1.9)]
    assert waiting.take(1) == [second]


def test_the_same_octets_from_another_socket_are_another_packet() -> None:
    waiting, asked = Backlog(), question(0.0)
    other = asked._replace(datagram=asked.datagram._replace(source=("192.0.2.1", 1813)))

    assert waiting.put(asked)
    assert waiting.put(other)
    assert waiting.put(asked._replace(descriptor=8))
    assert len(waiting.take(9)) == 3


def test_too_much_takes_no_memory_and_costs_the_nas_that_sends_most(small: None) -> None:
    crowd, few = [question(at) for at in range(9)], [question(0, SOUTH)]
    waiting = filled(*few, *crowd)

    given_up = list(waiting.give_up(1.0))

    assert given_up == [(each, DropReason.OVERLOAD) for each in crowd[:6]]
    assert waiting.take(9) == [*few, *crowd[6:]]
    assert len(waiting) == 0


def test_of_too_many_records_those_stay_that_came_first(small: None) -> None:
    ended = [record(STOP, at) for at in range(9)]
    waiting = filled(*ended)

    assert [each for each, _ in waiting.give_up(0.0)] == ended[:3:-1]
    assert waiting.take(9) == ended[:4]
