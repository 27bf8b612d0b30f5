"""Shared counters follow capacities, and count calls that are under way when a capacity appears."""

from threading import Thread

import pytest
from billing_command import Billing
from calls import request, start
from traffic import DEFINITIONS, define, handle, place


@pytest.fixture
def busy(billing: Billing) -> Billing:
    define(billing)
    place(billing)
    return billing


def counters(billing: Billing) -> dict[tuple[str, str], tuple[int, int]]:
    """Return capacity and use by kind and name."""
    rows = billing.sql(
        "SELECT 'account', coalesce(a.name, a.ip), c.capacity, c.in_use FROM capacity_counter c"
        " JOIN account a ON c.scope = 1 AND a.id = c.owner_id"
        " UNION ALL SELECT 'reseller', r.name, c.capacity, c.in_use FROM capacity_counter c"
        " JOIN reseller r ON c.scope = 2 AND r.id = c.owner_id"
    )
    return {(kind, name): (capacity, in_use) for kind, name, capacity, in_use in rows}


def is_sound(billing: Billing) -> bool:
    return billing("verify").code == 0


def test_counters_are_only_where_capacities_are(busy: Billing) -> None:
    assert counters(busy) == {("account", "alice"): (10, 2), ("reseller", "Top"): (100, 2)}


def test_a_new_capacity_counts_the_calls_under_way(busy: Billing) -> None:
    busy.apply('[[reseller]]\nname = "Low"\ncapacity = 7\n')

    assert counters(busy)["reseller", "Low"] == (7, 2)
    assert is_sound(busy)


def test_a_changed_limit_keeps_the_count(busy: Billing) -> None:
    busy.apply(
        DEFINITIONS.replace("capacity = 100", "capacity = 5").replace("capacity = 10\n", "capacity = 3\n")
    )

    assert counters(busy) == {("account", "alice"): (3, 2), ("reseller", "Top"): (5, 2)}
    assert is_sound(busy)


def test_a_capacity_that_is_gone_has_no_counter(busy: Billing) -> None:
    busy.apply(DEFINITIONS.replace("capacity = 10\n", ""))

    assert counters(busy) == {("reseller", "Top"): (100, 2)}


def test_calls_move_with_their_client_to_another_reseller(busy: Billing) -> None:
    busy.apply(
        '[[reseller]]\nname = "Other"\ncapacity = 9\n[[client]]\nname = "Alice Telecom"\nreseller = "Other"\n'
    )

    assert counters(busy)["reseller", "Top"] == (100, 0)
    assert counters(busy)["reseller", "Other"] == (9, 2)
    assert is_sound(busy)


def test_calls_move_with_a_reseller_that_moves(busy: Billing) -> None:
    busy.apply('[[reseller]]\nname = "Other"\ncapacity = 9\n')
    busy.apply('[[reseller]]\nname = "Low"\nparent = "Other"\n')

    assert counters(busy)["reseller", "Top"] == (100, 0)
    assert counters(busy)["reseller", "Other"] == (9, 2)


def test_a_capacity_that_appears_during_calls_counts_each_of_them(busy: Billing) -> None:
    without = DEFINITIONS.replace("capacity = 10\n", "").replace("credit = 100", "credit = 100000")
    busy.apply(without)

    def traffic() -> None:
        for number in range(40):
            handle(busy, request(f"call {number}"), start(f"call {number}"))

    thread = Thread(target=traffic)
    thread.start()
    for _ in range(5):
        busy.apply(without.replace('password = "secret"', 'password = "secret"\ncapacity = 1000'))
        busy.apply(without)
    busy.apply(without.replace('password = "secret"', 'password = "secret"\ncapacity = 1000'))
    thread.join()

    assert counters(busy)["account", "alice"] == (1000, 42)
    assert is_sound(busy)


def test_a_turn_that_read_its_counters_ends_before_they_are_counted(busy: Billing) -> None:
    with busy.engine.connect() as turn:
        turn.exec_driver_sql("SELECT * FROM balance WHERE client_id = 1 FOR UPDATE")
        applying = Thread(target=busy.apply, args=('[[reseller]]\nname = "Low"\ncapacity = 7\n',))
        applying.start()
        applying.join(1.5)

        assert applying.is_alive(), "the count waits for the turn"
        turn.exec_driver_sql(
            "UPDATE session SET state = 3, closed_at = now(), reserved = 0 WHERE call_id = 'accepted'"
        )
        turn.commit()
        applying.join()

    assert counters(busy)["reseller", "Low"] == (7, 1)


def test_new_clients_with_capacities_wait_for_no_turn(busy: Billing) -> None:
    new = (
        '[[reseller]]\nname = "New"\ncapacity = 7\n[[client]]\nname = "Nora"\ncurrency = "USD"\n'
        'reseller = "New"\n[[client.account]]\nip = "192.0.2.77"\ncapacity = 3\n'
    )
    with busy.engine.connect() as turn:
        turn.exec_driver_sql("SELECT * FROM balance FOR UPDATE")
        busy.apply(new)

    assert counters(busy)["reseller", "New"] == (7, 0)
    assert counters(busy)["account", "192.0.2.77"] == (3, 0)
