"""Turns while a large change of the definitions is taken over: none waits for it, and none looks twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, catalogue, request
from memory import MemoryStorage, MemoryTurn

from billing_core.authorization import Authorized, Denied
from billing_core.balance import Balance
from billing_core.charging import Charging
from billing_core.client import Status
from billing_core.denial import Denial
from billing_core.limits import Limits


@dataclass(slots=True)
class Counted(MemoryStorage):
    """A storage that counts its turns."""

    turns: int = 0

    @contextmanager
    def turn(self) -> Iterator[MemoryTurn]:
        self.turns += 1
        with MemoryStorage.turn(self) as turn:
            yield turn


class Office:
    """A worker whose definitions have a large table in each version, of which the file is never there."""

    def __init__(self) -> None:
        self.catalogue = catalogue()
        self.storage = Counted(version=0, balances={ALICE.id: Balance(Decimal(10))})
        self.alice = ALICE
        self.changes_during_refresh: list[Status] = []
        self.charging = Charging(self.storage, self.catalogue, Limits(), self.refresh)

    def refresh(self) -> int:
        followed = self.storage.version
        self.catalogue.put_client(self.alice, [ALICE_ACCOUNT])
        if self.changes_during_refresh:
            self.change(self.changes_during_refresh.pop())
        return followed

    def change(self, status: Status) -> None:
        self.storage.version += 1
        self.alice = replace(self.alice, status=status)

    def asks(self, call_id: str) -> tuple[int, Authorized | Denied]:
        """Return how many turns of storage a question took, and its outcome."""
        before = self.storage.turns
        (outcome,) = self.charging.handle([request(call_id)], NOON)
        return self.storage.turns - before, outcome


def test_only_the_first_turn_after_a_large_change_looks_twice() -> None:
    office = Office()
    office.change(Status.ACTIVE)

    assert [office.asks(f"call-{number}")[0] for number in range(4)] == [2, 1, 1, 1]


@pytest.mark.parametrize(("is_known", "turns"), [(True, 1), (False, 2)], ids=["before", "meanwhile"])
def test_a_client_who_is_stopped_while_a_large_table_is_compiled_is_stopped_at_once(
    is_known: bool, turns: int
) -> None:
    office = Office()
    office.change(Status.ACTIVE)
    assert isinstance(office.asks("call-1")[1], Authorized)
    if is_known:
        office.change(Status.STOP)
    else:
        office.changes_during_refresh = [Status.STOP]
    taken, outcome = office.asks("call-2")

    assert (taken, outcome.reason) == (turns, Denial.CLIENT_STOPPED)


def test_once_all_is_taken_over_a_turn_asks_for_nothing_more() -> None:
    office = Office()
    office.change(Status.ACTIVE)
    office.asks("call-1")
    office.catalogue.version = office.storage.version
    office.asks("call-2")
    # Nobody tells the catalogue of this change: it is the turn that sees it.
    office.change(Status.STOP)
    turns, outcome = office.asks("call-3")

    assert turns == 2
    assert outcome.reason is Denial.CLIENT_STOPPED
