"""Notices of low balances are written by whoever changes the money, once for each crossing."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from calls import ALICE, ALICE_ACCOUNT, NOON, VENDOR, VENDOR_ACCOUNT, at, report, start, stop
from calls import catalogue as catalogue_of
from postgres import connect
from worlds import PAID, World

from billing_core.admin.ledger.payments import Order, book
from billing_core.catalogue import Catalogue
from billing_core.charging import Charging
from billing_core.client import Client
from billing_core.ledger import EntryKind
from billing_core.limits import Limits
from billing_core.report import Kind
from billing_core.session import Leg
from billing_core.storage.low_balances import LowBalances
from billing_core.storage.postgres import PostgresStorage
from billing_core.storage.schema import engine
from billing_core.sweep import OnSilence, Sweep

WARNED = replace(ALICE, notify_client=Decimal(9), notify_admin=Decimal(8))


def definitions(client: Client = WARNED) -> Catalogue:
    return catalogue_of((client, [ALICE_ACCOUNT]), (VENDOR, [VENDOR_ACCOUNT]))


def charging(world: World, client: Client = WARNED) -> Charging:
    return Charging(world.new_storage(), definitions(client), Limits())


def whom(world: World) -> list[tuple[str, Decimal]]:
    return [(audience, money) for _, audience, _, money in world.notices()]


def test_a_charge_that_crosses_a_value_tells_who_has_it_and_once(world: World) -> None:
    work = charging(world)
    for number, seconds in enumerate([100, 1, 50, 100, 50]):
        work.handle([stop(seconds, f"call-{number}")], NOON)

    # Alice begins with ten, and a second costs a cent.
    assert world.notices() == [
        (1, "client", Decimal(9), Decimal("8.99")),
        (1, "admin", Decimal(8), Decimal("7.49")),
    ]


def test_a_batch_tells_the_same_as_its_requests_one_by_one(world: World) -> None:
    charging(world).handle([stop(60, f"call-{number}") for number in range(5)], NOON)

    assert whom(world) == [("client", Decimal("8.80")), ("admin", Decimal("7.60"))]


def test_what_changes_no_money_tells_nobody(world: World) -> None:
    work = charging(world, replace(WARNED, notify_client=Decimal(50)))
    work.handle([start("call-1"), stop(0, "call-1")], NOON)

    assert world.notices() == []


def test_a_correction_that_gives_back_arms_a_value_only_well_above_it(world: World) -> None:
    work, sold = charging(world), Leg.TERMINATION
    paid_back = replace(WARNED, term_rate_table_id=2)
    vendor = catalogue_of((paid_back, [ALICE_ACCOUNT, replace(VENDOR_ACCOUNT, client_id=1)]))
    earning = Charging(world.new_storage(), vendor, Limits())
    work.handle([stop(101, "call-1")], NOON)
    earning.handle([report(Kind.STOP, "leg-1", sold, session_seconds=2)], NOON)  # 9.00: the value itself
    work.handle([stop(1, "call-2")], NOON)
    earning.handle([report(Kind.STOP, "leg-2", sold, session_seconds=200)], NOON)  # 9.99: well above it
    work.handle([stop(100, "call-3")], NOON)

    assert whom(world) == [("client", Decimal("8.99")), ("client", Decimal("8.99"))]


def test_a_call_that_falls_silent_tells_when_it_is_charged(world: World) -> None:
    charging(world).handle([start("call-1", event_at=NOON)], NOON)
    sweep = Sweep(world.new_sweep_turns(), definitions(), Limits(), lambda nas: OnSilence.CHARGE_GRANTED)
    work = charging(world)
    work.handle([report(Kind.INTERIM, "call-1", session_seconds=150, event_at=at(150))], at(150))
    sweep.run(at(100_000))

    assert whom(world) == [("client", Decimal("8.50"))]


def test_whoever_decides_by_old_settings_tells_nobody(world: World) -> None:
    """They may say that the money is low while it is not, so the next one who knows today's looks."""
    old = definitions()
    old.version = -1
    Charging(world.new_storage(), old, Limits()).handle([stop(500, "call-1")], NOON)
    nobody = world.notices()
    charging(world).handle([stop(1, "call-2")], NOON)

    assert nobody == []
    assert whom(world) == [("client", Decimal("4.99")), ("admin", Decimal("4.99"))]


# --- charges and payments, on PostgreSQL ------------------------------------------------------------


@dataclass
class Money:
    """A client in a database who is warned, and everybody who changes his money."""

    world: World
    url: str
    charging: Charging
    pay: Callable[[Decimal, EntryKind], object]

    def sql(self, statement: str, *values: object) -> list[Any]:
        with closing(connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def set(self, **columns: object) -> None:
        for column, value in columns.items():
            self.sql(f"UPDATE client SET {column} = %s WHERE id = 1", value)  # noqa: S608


@pytest.fixture
def money(migrated_url: str, postgres: World) -> Iterator[Money]:
    database = engine(migrated_url)

    def pay(amount: Decimal, kind: EntryKind = EntryKind.PAYMENT) -> None:
        book(database, Order(kind, "client 1", amount))

    made = Money(postgres, migrated_url, charging(postgres), pay)
    made.set(low_balance_notify_client=9, low_balance_notify_admin=8)
    yield made
    database.dispose()


def test_the_event_and_the_mail_are_written_with_the_charge(money: Money) -> None:
    money.charging.handle([stop(250, "call-1")], NOON)

    assert money.sql("SELECT kind, client_id, at, is_posted FROM event") == [
        ("low_balance", 1, NOON, False),
        ("low_balance", 1, NOON, False),
    ]
    assert money.sql(
        "SELECT kind, channel, client_id, created_at, next_at, state, facts->>'notify' FROM mail"
    ) == [("low_balance", "email", 1, NOON, NOON, "waiting", "client")]
    assert money.sql("SELECT warned FROM balance WHERE client_id = 1") == [(3,)]


def test_who_makes_his_money_cross_a_value_again_and_again_fills_neither_events_nor_mails(
    money: Money,
) -> None:
    """Only calls are bounded so: what an operator books is told as often as he books."""
    for number in range(15):
        money.charging.handle([stop(250, f"call-{number}")], NOON)
        money.sql("UPDATE balance SET live = 10, warned = 0 WHERE client_id = 1")
    money.charging.handle([stop(250, "later")], at(60))

    counts = "SELECT count FROM event ORDER BY id"
    assert money.sql(counts) == [*[(1,)] * 10, (20,), (1,), (1,)]
    assert money.sql("SELECT created_at, count(*) FROM mail GROUP BY 1 ORDER BY 1") == [
        (NOON, 5),
        (at(60), 1),
    ]


def test_every_booking_tells_and_a_payment_arms_again(money: Money) -> None:
    money.pay(Decimal(1), EntryKind.CHARGE)
    exactly = money.world.notices()
    money.pay(Decimal("0.5"), EntryKind.CHARGE)
    money.pay(Decimal("0.5"), EntryKind.PAYMENT)
    money.pay(Decimal("0.25"), EntryKind.REFUND)
    money.pay(Decimal("0.30"), EntryKind.CORRECTION)
    money.pay(Decimal("-0.1"), EntryKind.PAYMENT)

    assert exactly == []
    assert whom(money.world) == [("client", Decimal("8.5")), ("client", Decimal("8.75"))]


def test_a_payment_below_zero_arms_nothing(money: Money) -> None:
    money.pay(Decimal(2), EntryKind.CHARGE)
    money.pay(Decimal("1.5"), EntryKind.CORRECTION)  # 9.5: not well above
    money.pay(Decimal("-0.5"), EntryKind.PAYMENT)
    money.pay(Decimal("0.5"), EntryKind.CHARGE)

    assert whom(money.world) == [("client", Decimal(8))]


def test_a_payment_that_is_sent_again_tells_nothing(money: Money) -> None:
    database = engine(money.url)
    for _ in range(2):
        book(database, Order(EntryKind.PAYMENT, "client 1", Decimal(-5), reference="bank 1"))
    database.dispose()

    assert whom(money.world) == [("client", Decimal(5)), ("admin", Decimal(5))]


@pytest.mark.parametrize("seed", range(4))
def test_for_any_sequence_of_charges_and_payments_notices_are_the_crossings(money: Money, seed: int) -> None:
    chance = random.Random(seed)
    live, armed = PAID[1], {"client": True, "admin": True}
    values = {"client": Decimal(9), "admin": Decimal(8)}
    expected = []
    for number in range(40):
        kind = "payment" if live < 7 else chance.choice(["call", "call", "payment", "correction"])
        change = Decimal(chance.randrange(1, 250)) / 100
        if kind == "call":
            change = -change
            money.charging.handle([stop(int(-change * 100), f"call-{number}")], NOON)
        else:
            change *= 2 if live < 7 else chance.choice([1, -1])
            money.pay(change, EntryKind(kind))
        live += change
        for audience, value in values.items():
            if live < value and armed[audience]:
                armed[audience] = False
                expected.append((audience, live))
            elif live >= value * Decimal("1.1") or (kind == "payment" and change > 0 and live >= value):
                armed[audience] = True

    assert len(expected) > 4
    assert whom(money.world) == expected
    assert money.sql("SELECT count(*) FROM mail") == [
        (sum(audience == "client" for audience, _ in expected),)
    ]


def in_threads(*tasks: Callable[[], None]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)


def test_of_two_workers_that_race_across_a_value_one_tells(money: Money) -> None:
    storages = [PostgresStorage(money.url, "test") for _ in range(2)]

    def charge(name: str, storage: PostgresStorage) -> Callable[[], None]:
        work = Charging(storage, definitions(), Limits())
        return lambda: [work.handle([stop(5, f"{name} {n}")], NOON) for n in range(30)] and None

    in_threads(charge("one", storages[0]), charge("other", storages[1]))
    for storage in storages:
        storage.close()

    assert whom(money.world) == [("client", Decimal("8.95")), ("admin", Decimal("7.95"))]


def test_charges_and_payments_that_race_neither_lose_a_notice_nor_tell_one_twice(money: Money) -> None:
    """Which of them was first in each case, the database writes down: it is locked meanwhile."""
    money.sql(
        "CREATE TABLE seen (id serial, live numeric);"
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO seen (live) VALUES (NEW.live); RETURN NULL; END';"
        "CREATE TRIGGER seen AFTER UPDATE OF live ON balance FOR EACH ROW"
        " WHEN (OLD.live <> NEW.live) EXECUTE FUNCTION see()"
    )

    def charge(name: str) -> Callable[[], None]:
        work = charging(money.world)
        return lambda: [work.handle([stop(200, f"{name} {n}")], NOON) for n in range(20)] and None

    def pay() -> None:
        for _ in range(40):
            money.pay(Decimal(2), EntryKind.PAYMENT)

    in_threads(charge("one"), charge("other"), pay)

    live, is_armed, crossings = PAID[1], True, []
    for (seen,) in money.sql("SELECT live FROM seen ORDER BY id"):
        if is_armed and seen < 9:
            crossings.append(seen)
        is_armed, live = seen >= 9, seen
    assert live == PAID[1]
    assert [available for audience, available in whom(money.world) if audience == "client"] == crossings


# --- definitions -------------------------------------------------------------------------------------


@pytest.fixture
def look(money: Money) -> Iterator[Callable[[], list[tuple[str, Decimal]]]]:
    """Give what looks through the balances, and returns who was told up to now."""
    balances = LowBalances(money.url)

    def look() -> list[tuple[str, Decimal]]:
        before = len(money.world.notices())
        arose = balances.look(NOON)
        told = whom(money.world)
        assert arose == len(told) - before
        return told

    yield look
    balances.close()


def test_a_credit_that_is_lowered_is_noticed_without_a_call_and_once(money: Money, look: Any) -> None:
    nobody = look()
    money.set(credit="-1.01")
    told = look()

    assert nobody == []
    assert told == look() == [("client", Decimal("8.99"))]


def test_a_credit_that_is_raised_arms_again(money: Money, look: Any) -> None:
    money.set(credit=-5)
    look()
    money.set(credit=100)
    look()
    money.set(credit="-1.5")

    assert [money for _, money in look()] == [5, 5, Decimal("8.5")]


def test_a_client_who_becomes_prepaid_is_looked_at(money: Money, look: Any) -> None:
    money.set(postpaid=True, credit=-5)
    postpaid = look()
    money.set(postpaid=False)

    assert (postpaid, len(look())) == ([], 2)


def test_many_clients_are_looked_at_in_pieces(money: Money, look: Any) -> None:
    money.sql(
        "INSERT INTO client (id, name, status, currency, timezone, tags, bill_by, postpaid, credit, company,"
        " changed_in, low_balance_notify_admin) SELECT n, 'many ' || n, 'active', 'USD', 'UTC', '{}',"
        " 'disconnect', false, 0, '{}', 1, n & 1 FROM generate_series(1001, 1240) AS n"
    )
    money.sql("INSERT INTO balance SELECT id, 0, 0, 0, 0 FROM client WHERE name LIKE 'many%'")

    assert len(look()) == 120


def test_as_long_as_no_definition_changes_there_may_be_no_need_to_look(money: Money) -> None:
    with closing(LowBalances(money.url)) as balances:
        balances.look(NOON)
        money.set(credit="-5")
        unchanged = balances.look(NOON, only_if_changed=True)
        money.sql("UPDATE catalogue SET version = version + 1")

        assert unchanged == 0
        assert balances.look(NOON, only_if_changed=True) == 2
