"""Definitions come from the database into a worker's catalogue, in pieces and never by half."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.catalogue import Catalogue, Recognition
from billing_core.client import Account, BillBy, Client, LowBalance, Status
from billing_core.ports import StorageDownError
from billing_core.rate_table import Rate
from billing_core.storage import catalogue_reader
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.connection import connect

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    with closing(connect(migrated_url, application="test")) as opened:
        yield opened


def run(connection: Connection, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def change(connection: Connection, *statements: str) -> None:
    """Change definitions as a command does: all in one transaction, under the next version."""
    run(
        connection,
        "BEGIN",
        "UPDATE catalogue SET version = version + 1",
        *(statement.replace("NEXT", "(SELECT version FROM catalogue)") for statement in statements),
        "COMMIT",
    )


def table(id: int, *rates: str) -> list[str]:
    """Return what makes a rate table of rates written as `code price`."""
    rows = [rate.split() for rate in rates]
    return [
        "INSERT INTO rate_table (id, name, currency, changed_in)"  # noqa: S608
        f" VALUES ({id}, 'table {id}', 'USD', NEXT)",
        *(new_rate(id, code, price) for code, price in rows),
    ]


def new_rate(table_id: int, code: str, price: str) -> str:
    return (
        "INSERT INTO rate (rate_table_id, code, destination, price_per_minute, setup_fee,"  # noqa: S608
        f" min_volume_seconds, interval_seconds, grace_seconds) VALUES ({table_id}, '{code}', '', {price},"
        " 0, 1, 1, 0)"
    )


def client(id: int, rate_table_id: int | str = "NULL", status: str = "active") -> str:
    return (
        "INSERT INTO client (id, name, status, currency, timezone, tags, bill_by, postpaid, credit,"  # noqa: S608
        f" rate_table_id, company, changed_in) VALUES ({id}, 'client {id}', '{status}', 'USD', 'UTC', '{{}}',"
        f" 'disconnect', false, 0, {rate_table_id}, '{{}}', NEXT)"
    )


def account(client_id: int, ip: str) -> str:
    return (
        "INSERT INTO account (client_id, ip, tech_prefix, orig, term)"  # noqa: S608
        f" VALUES ({client_id}, '{ip}', '', true, false)"
    )


def prices(catalogue: Catalogue, table_id: int = 1) -> dict[str, list[Decimal]]:
    rates = catalogue.rate_tables[table_id].rates
    return {code: [rate.price_per_minute for rate in versions] for code, versions in rates.items()}


def contents(catalogue: Catalogue) -> tuple[object, ...]:
    return (
        catalogue.clients,
        catalogue.rate_tables,
        catalogue.version,
        {id: catalogue.recognise(Recognition.IP, f"192.0.2.{id}", "") for id in range(1, 30)},
    )


def test_an_empty_database_is_an_empty_catalogue(connection):
    catalogue = Catalogue()
    CatalogueReader(catalogue).read_all(connection)

    assert (catalogue.clients, catalogue.rate_tables, catalogue.version) == ({}, {}, 0)


def test_every_field_of_a_definition_is_taken_over(connection):
    change(
        connection,
        "INSERT INTO reseller (id, name, parent_id, capacity) VALUES (7, 'root', NULL, 9), (5, 'near', 7, 4)",
        *table(1),
        *table(2),
        "INSERT INTO rate (rate_table_id, code, destination, price_per_minute, setup_fee, min_volume_seconds,"
        " interval_seconds, grace_seconds, effective_from, end_date)"
        " VALUES (1, '4420', 'London', -0.0125, 0.3, 30, 6, 2, '2026-01-01Z', '2027-01-01Z')",
        "INSERT INTO client (id, name, status, currency, timezone, reseller_id, tags, bill_by, postpaid,"
        " credit, rate_table_id, capacity, term_rate_table_id, term_capacity, locale, low_balance_threshold,"
        " low_balance_capacity, company, changed_in) VALUES (3, 'Alice', 'stop', 'EUR', 'UTC', 5, '{x}',"
        " 'connect', true, 12.5, 1, 10, 2, 20, 'ru', 5.5, 1, '{}', NEXT)",
        "INSERT INTO account (id, client_id, name, password, ip, ani, tech_prefix, capacity, orig, term)"
        " VALUES (30, 3, 'alice', 'secret', '192.0.2.1', '+1222', '99#', 2, false, true)",
    )
    catalogue = Catalogue()
    CatalogueReader(catalogue).read_all(connection)

    assert catalogue.clients == {
        3: Client(
            id=3,
            name="Alice",
            status=Status.STOP,
            currency="EUR",
            postpaid=True,
            credit=Decimal("12.5"),
            bill_by=BillBy.CONNECT,
            rate_table_id=1,
            capacity=10,
            term_rate_table_id=2,
            term_capacity=20,
            low_balance=LowBalance(Decimal("5.5"), 1),
            locale="ru",
            reseller_ids=(5, 7),
        )
    }
    assert catalogue.account(3, 30) == Account(
        30, 3, "alice", "secret", "192.0.2.1", "+1222", "99#", capacity=2, orig=False, term=True
    )
    assert catalogue.rate_tables[1].rates == {
        "4420": (
            Rate(
                "4420",
                "London",
                Decimal("-0.0125"),
                Decimal("0.3"),
                30,
                6,
                2,
                effective_from=NEW_YEAR,
                end_date=NEW_YEAR.replace(year=2027),
            ),
        )
    }
    assert catalogue.version == 1


def test_what_changed_is_seen_by_the_next_reading_and_the_rest_stays(connection):
    change(
        connection,
        *table(1, "44 1", "33 2"),
        *table(2, "1 5"),
        client(1, 1),
        client(2),
        account(2, "192.0.2.2"),
    )
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    reader.read_all(connection)
    untouched = catalogue.rate_tables[2]
    change(
        connection,
        "UPDATE client SET status = 'stop', changed_in = NEXT WHERE id = 1",
        account(1, "192.0.2.1"),
        "UPDATE rate SET price_per_minute = 3 WHERE code = '44'",
        "DELETE FROM rate WHERE code = '33'",
        "UPDATE rate_table SET changed_in = NEXT WHERE id = 1",
    )
    before = catalogue.clients[1].status
    reader.read_all(connection)

    assert (before, catalogue.clients[1].status) == (Status.ACTIVE, Status.STOP)
    assert catalogue.recognise(Recognition.IP, "192.0.2.1", "") is not None
    assert catalogue.recognise(Recognition.IP, "192.0.2.2", "") is not None
    assert prices(catalogue) == {"44": [Decimal(3)]}
    assert catalogue.rate_tables[2] is untouched
    assert catalogue.version == 2


def test_an_account_that_is_gone_recognises_nobody_any_more(connection):
    change(connection, client(1), account(1, "192.0.2.1"), account(1, "192.0.2.2"))
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    reader.read_all(connection)
    change(
        connection,
        "DELETE FROM account WHERE ip = '192.0.2.1'",
        "UPDATE client SET changed_in = NEXT",
    )
    reader.read_all(connection)

    assert catalogue.recognise(Recognition.IP, "192.0.2.1", "") is None
    assert catalogue.recognise(Recognition.IP, "192.0.2.2", "") is not None


def test_nothing_is_read_again_when_nothing_changed(connection):
    change(connection, *table(1, "44 1"), client(1, 1))
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    reader.read_all(connection)
    run(connection, "UPDATE client SET name = 'changed without a version'")

    assert reader.step(connection)
    assert catalogue.clients[1].name == "client 1"


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
def test_the_size_of_the_pieces_does_not_matter(connection, monkeypatch, piece):
    codes = [f"{number} {number % 7}" for number in range(40, 55)]
    change(connection, *table(1, *codes), *table(2), *table(3, "1 1"), *(client(id, 1) for id in range(1, 8)))
    change(
        connection,
        *(client(id, 3) for id in range(8, 12)),
        *(account(id, f"192.0.2.{id}") for id in range(1, 12)),
    )
    whole, pieces = Catalogue(), Catalogue()
    CatalogueReader(whole).read_all(connection)
    monkeypatch.setattr(catalogue_reader, "_CLIENTS_AT_ONCE", piece)
    monkeypatch.setattr(catalogue_reader, "_RATES_AT_ONCE", piece)
    reader = CatalogueReader(pieces)
    steps = 0
    while not reader.step(connection):
        steps += 1
        assert all(len(table.rates) in (0, 1, 15) for table in pieces.rate_tables.values())
        assert all(client.rate_table_id in pieces.rate_tables for client in pieces.clients.values())

    assert contents(pieces) == contents(whole)
    assert len(whole.clients) == 11
    assert steps >= 26 // piece


def read_while(
    connection: Connection, reader: CatalogueReader, happens: Callable[[], None], after_steps: int
) -> None:
    """Read everything, and let something happen when that many steps were made."""
    steps = 0
    while not reader.step(connection):
        steps += 1
        if steps == after_steps:
            happens()


@pytest.mark.parametrize("after_steps", [1, 2, 3, 4])
def test_a_table_that_changes_while_it_is_read_is_never_used_by_half(connection, monkeypatch, after_steps):
    """The price of both codes changes at once: nobody may ever see one old and one new."""
    change(connection, *table(1, "1 1", "2 1", "3 1", "4 1"), client(1, 1))
    monkeypatch.setattr(catalogue_reader, "_RATES_AT_ONCE", 1)
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    seen: list[set[Decimal]] = []
    put = catalogue.put_rate_table
    monkeypatch.setattr(
        catalogue,
        "put_rate_table",
        lambda table: (seen.append({rate.price_per_minute for (rate,) in table.rates.values()}), put(table)),
    )
    read_while(
        connection,
        reader,
        lambda: change(
            connection,
            "UPDATE rate SET price_per_minute = 2",
            "UPDATE rate_table SET changed_in = NEXT",
        ),
        after_steps,
    )

    assert seen[-1] == {Decimal(2)}
    assert all(len(prices_seen) == 1 for prices_seen in seen)
    assert (catalogue.version, list(catalogue.clients)) == (2, [1])


def test_a_table_that_goes_away_while_it_is_read_does_not_disturb_the_others(connection, monkeypatch):
    change(connection, *table(1, "1 1", "2 1"), *table(2, "3 1"))
    monkeypatch.setattr(catalogue_reader, "_RATES_AT_ONCE", 1)
    catalogue = Catalogue()
    gone = ["DELETE FROM rate WHERE rate_table_id = 1", "DELETE FROM rate_table WHERE id = 1"]
    read_while(connection, CatalogueReader(catalogue), lambda: change(connection, *gone), 1)

    assert list(catalogue.rate_tables) == [2]
    assert catalogue.version == 2


def test_a_client_never_comes_before_his_rate_table(connection, monkeypatch):
    """A client and his new table are added between the reading of the tables and that of the clients."""
    change(connection, *table(1, "1 1"), client(1, 1), client(2, 1))
    monkeypatch.setattr(catalogue_reader, "_CLIENTS_AT_ONCE", 1)
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    assert not reader.step(connection)
    change(connection, *table(9, "1 1"), client(3, 9))
    while not reader.step(connection):
        assert all(client.rate_table_id in catalogue.rate_tables for client in catalogue.clients.values())

    assert sorted(catalogue.clients) == [1, 2, 3]


def test_reading_goes_on_after_the_connection_was_lost(migrated_url, connection, monkeypatch):
    change(connection, *table(1, "1 1", "2 1", "3 1"), client(1, 1), client(2, 1))
    monkeypatch.setattr(catalogue_reader, "_RATES_AT_ONCE", 1)
    monkeypatch.setattr(catalogue_reader, "_CLIENTS_AT_ONCE", 1)
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    for steps in range(5):
        lost = connect(migrated_url, application="test")
        for _ in range(steps):
            reader.step(lost)
        lost.close()
        with pytest.raises(StorageDownError):
            reader.step(lost)
    reader.read_all(connection)

    assert sorted(catalogue.clients) == [1, 2]
    assert list(prices(catalogue)) == ["1", "2", "3"]
