"""Definitions come from the database into a worker's catalogue, in pieces and never by half."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - the driver's class has a small letter

from billing_core.catalogue import Catalogue, Recognition
from billing_core.client import Account, BillBy, Client, LowBalance, Status
from billing_core.ports import StorageDownError
from billing_core.rate_table import Rate
from billing_core.storage import catalogue_reader
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.compiled_files import CompiledFiles
from billing_core.storage.connection import connect
from billing_core.storage.rates_compiler import OPEN_RATES, Order, obey

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
    found: dict[str, list[Decimal]] = {}
    for code, _, price, *_ in sorted(catalogue.rate_tables[table_id].rates):
        found.setdefault(code, []).append(price)
    return found


def contents(catalogue: Catalogue) -> tuple[object, ...]:
    return (
        catalogue.clients,
        {id: (table.name, sorted(table.rates)) for id, table in catalogue.rate_tables.items()},
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
        " interval_seconds, grace_seconds, effective_from, end_date, time_profile, number_length_min,"
        " number_length_max, blocked) VALUES (1, '4420', 'London', -0.0125, 0.3, 30, 6, 2, '2026-01-01Z',"
        " '2027-01-01Z', 'peak', 11, 13, true)",
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
    assert [Rate(*fields) for fields in catalogue.rate_tables[1].rates] == [
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
            time_profile="peak",
            number_length_min=11,
            number_length_max=13,
            blocked=True,
        ),
    ]
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
    assert steps >= 11 // piece


def read_while(
    connection: Connection, reader: CatalogueReader, happens: Callable[[], None], after_steps: int
) -> None:
    """Read everything, and let something happen when that many steps were made."""
    steps = 0
    while not reader.step(connection):
        steps += 1
        if steps == after_steps:
            happens()
    assert steps >= after_steps


@pytest.mark.parametrize("after_steps", [1, 2, 3])
def test_tables_that_change_while_they_are_read_are_never_used_by_half(connection, monkeypatch, after_steps):
    """The price of both codes changes at once: nobody may ever see one old and one new."""
    change(connection, *(part for id in (1, 2, 3) for part in table(id, "1 1", "2 1")), client(1, 1))
    monkeypatch.setattr(catalogue_reader, "_RATES_AT_ONCE", 1)
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    seen: list[set[Decimal]] = []
    put = catalogue.put_rate_table
    monkeypatch.setattr(
        catalogue,
        "put_rate_table",
        lambda table: (seen.append({price for _, _, price, *_ in table.rates}), put(table)),
    )
    read_while(
        connection,
        reader,
        lambda: change(connection, *REPRICED),
        after_steps,
    )

    assert seen == [{Decimal(1)}] * after_steps + [{Decimal(2)}] * 3
    assert (catalogue.version, list(catalogue.clients)) == (2, [1])


def test_a_table_that_changes_between_its_rates_and_its_name_is_read_again(connection, monkeypatch):
    """The moment nobody can hit on purpose: the rates were read, and then table and rates change."""
    change(connection, *table(1, "1 1", "2 1"))
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)
    read = reader._rates
    changes = iter([[*REPRICED, "UPDATE rate_table SET name = 'renamed'"]])

    def read_and_change(*args: object) -> object:
        rates = read(*args)
        for statements in changes:
            change(connection, *statements)
        return rates

    monkeypatch.setattr(reader, "_rates", read_and_change)
    reader.read_all(connection)

    assert (catalogue.rate_tables[1].name, all_prices(catalogue)) == ("renamed", {Decimal(2)})


def test_a_table_that_goes_away_while_others_are_read_does_not_disturb_them(connection, monkeypatch):
    change(connection, *table(1, "1 1", "2 1"), *table(2, "3 1"), *table(3, "4 1"))
    monkeypatch.setattr(catalogue_reader, "_RATES_AT_ONCE", 1)
    catalogue = Catalogue()
    gone = ["DELETE FROM rate WHERE rate_table_id = 2", "DELETE FROM rate_table WHERE id = 2"]
    read_while(connection, CatalogueReader(catalogue), lambda: change(connection, *gone), 1)

    assert sorted(catalogue.rate_tables) == [1, 3]
    assert catalogue.version == 2


def test_a_table_that_has_just_been_filled_is_read_by_its_index(connection, monkeypatch):
    """Nobody has counted it yet, so to the database it looks empty and cheap to read whole and to sort."""
    change(connection, *table(1), *many_rates(1, "1"))
    plans: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE rate; DELETE FROM rate; ANALYZE rate")
        change(connection, *many_rates(1, "1", 20_000), "UPDATE rate SET since_import = 1")
        cursor.execute("BEGIN;" + OPEN_RATES.replace("DECLARE rates NO SCROLL CURSOR FOR", "EXPLAIN"), (1,))
        plans = [line for (line,) in cursor.fetchall()]
        cursor.execute("ROLLBACK")

    assert "Index Scan using rate_is_unique" in plans[0], plans


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


# --- large tables: compiled once by a process of their own, mapped by every worker ------------------


@dataclass
class Shop:
    """Workers that share a directory of compiled rates, each with its own catalogue."""

    url: str
    directory: Path
    failures: list[str] = field(default_factory=list)
    opened: list[CatalogueReader] = field(default_factory=list)

    def worker(self) -> tuple[Catalogue, CatalogueReader]:
        catalogue = Catalogue()
        files = CompiledFiles(self.directory, self.url, self.failures.append)
        reader = CatalogueReader(catalogue, files)
        self.opened.append(reader)
        return catalogue, reader

    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.glob("*.*"))


@pytest.fixture
def shop(migrated_url: str, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(migrated_url, tmp_path)
    yield made
    for reader in made.opened:
        reader.close()


def many_rates(table_id: int, price: str, count: int = 5000) -> list[str]:
    return [
        "INSERT INTO rate (rate_table_id, code, destination, price_per_minute, setup_fee,"  # noqa: S608
        " min_volume_seconds, interval_seconds, grace_seconds) SELECT"
        f" {table_id}, (10000 + number)::text, 'Place ' || number % 10, {price}, 0, 1, 1, 0"
        f" FROM generate_series(1, {count}) AS number"
    ]


REPRICED = [
    "UPDATE rate SET price_per_minute = 2",
    "UPDATE rate_table SET changed_in = NEXT",
]


def all_prices(catalogue: Catalogue, table_id: int = 1) -> set[Decimal]:
    return {price for _, _, price, *_ in catalogue.rate_tables[table_id].rates}


def wait_for(reader: CatalogueReader, connection: Connection, until: Callable[[], bool]) -> None:
    """Let a worker step like one that has nothing else to do."""
    files = reader._files
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline, "it never came"
        reader.step(connection)
        files.pause()


def test_a_large_table_is_compiled_once_for_all_workers(connection, shop):
    change(connection, *table(1), *many_rates(1, "1"), *table(2, "44 7"), client(1, 1))
    workers = [shop.worker() for _ in range(3)]
    for _, reader in workers:
        reader.read_all(connection)

    assert [len(catalogue.rate_tables[1].rates) for catalogue, _ in workers] == [5000] * 3
    assert [all_prices(catalogue) for catalogue, _ in workers] == [{Decimal(1)}] * 3
    assert [prices(catalogue, 2) for catalogue, _ in workers] == [{"44": [Decimal(7)]}] * 3
    assert shop.files() == ["1-1.rates"], "a small table is nobody's file"
    assert shop.failures == []


def test_workers_that_want_a_table_at_the_same_time_get_one_process(connection, shop, monkeypatch):
    change(connection, *table(1), *many_rates(1, "1"))
    started: list[object] = []
    start = CompiledFiles._started
    monkeypatch.setattr(CompiledFiles, "_started", lambda *args: (started.append(args), start(*args))[1])
    (first, reading), (second, waiting) = shop.worker(), shop.worker()
    for reader in (reading, waiting, reading, waiting):
        reader.step(connection)
    wait_for(waiting, connection, lambda: bool(second.rate_tables))
    wait_for(reading, connection, lambda: bool(first.rate_tables))

    assert len(started) == 1


def test_until_the_file_is_there_the_old_table_stays_and_nobody_is_kept_busy(connection, shop):
    change(connection, *table(1), *many_rates(1, "1"), client(1, 1))
    catalogue, reader = shop.worker()
    reader.read_all(connection)
    change(connection, *REPRICED, client(2, 1))
    behind = []
    wait_for(
        reader,
        connection,
        lambda: catalogue.version == 2 or behind.append((reader.is_behind, all_prices(catalogue))) or False,
    )

    assert (False, {Decimal(1)}) in behind, "while it waits it says that there is nothing to do at once"
    assert all_prices(catalogue) == {Decimal(2)}
    assert sorted(catalogue.clients) == [1, 2]


def test_a_new_version_takes_the_place_of_the_old_one_and_its_file(connection, shop):
    change(connection, *table(1), *many_rates(1, "1"))
    (quick, quick_reader), (slow, slow_reader) = shop.worker(), shop.worker()
    quick_reader.read_all(connection)
    slow_reader.read_all(connection)
    change(connection, *REPRICED)
    quick_reader.read_all(connection)

    assert shop.files() == ["1-2.rates"]
    assert all_prices(quick) == {Decimal(2)}
    assert all_prices(slow) == {Decimal(1)}, "who has mapped the old file keeps it"
    slow_reader.read_all(connection)
    assert all_prices(slow) == {Decimal(2)}


def test_a_table_that_becomes_small_leaves_no_file(connection, shop):
    change(connection, *table(1), *many_rates(1, "1"))
    catalogue, reader = shop.worker()
    reader.read_all(connection)
    change(connection, "DELETE FROM rate WHERE code > '10003'", "UPDATE rate_table SET changed_in = NEXT")
    reader.read_all(connection)

    assert sorted(prices(catalogue)) == ["10001", "10002", "10003"]
    assert shop.files() == []


def test_a_process_that_dies_is_replaced_and_its_rubbish_removed(connection, shop):
    change(connection, *table(1), *many_rates(1, "1"))
    (shop.directory / "1-1.partial").write_bytes(b"half")
    (_, doomed), (survivor, reader) = shop.worker(), shop.worker()
    wait_for(doomed, connection, lambda: doomed._files._process is not None)
    doomed._files._process.kill()
    doomed._files._process.wait()
    reader.read_all(connection)

    assert all_prices(survivor) == {Decimal(1)}
    assert shop.files() == ["1-1.rates"]
    assert not doomed._files.is_compiling()
    assert shop.failures == ["the compiler of rate tables ended with status -9"]


def test_one_process_compiles_at_a_time(connection, shop):
    """Its lock ends with it, and not with the worker who started it."""
    change(connection, *table(1), *many_rates(1, "1"))
    files = CompiledFiles(shop.directory, shop.url, shop.failures.append)
    files.compile([(1, 1)])
    other = CompiledFiles(shop.directory, shop.url, shop.failures.append)
    other.compile([(1, 1)])

    assert files.is_compiling()
    assert not other.is_compiling()
    files.close()


def test_a_table_that_cannot_be_compiled_is_told_and_the_worker_goes_on(connection, shop, monkeypatch):
    change(connection, *table(1), *many_rates(1, "1"))
    catalogue, reader = shop.worker()
    reader.read_all(connection)
    change(connection, *REPRICED)
    (shop.directory / "1-2.partial").mkdir()
    wait_for(reader, connection, lambda: bool(shop.failures))

    assert "1-2.partial" in shop.failures[0]
    assert all_prices(catalogue) == {Decimal(1)}
    (shop.directory / "1-2.partial").rmdir()
    wait_for(reader, connection, lambda: catalogue.version == 2)
    assert all_prices(catalogue) == {Decimal(2)}


def test_a_table_that_changes_while_it_is_compiled_comes_in_its_newer_version(connection, shop):
    change(connection, *table(1), *many_rates(1, "1"), client(1, 1))
    catalogue, reader = shop.worker()
    wait_for(reader, connection, lambda: reader._files._process is not None)
    change(connection, *REPRICED)
    reader.read_all(connection)

    assert (catalogue.version, all_prices(catalogue)) == (2, {Decimal(2)})
    assert shop.files() == ["1-2.rates"]


def test_a_file_is_never_written_for_another_version_than_its_name_says(connection, shop):
    change(connection, *table(1, "44 1"))
    obey(Order(shop.url, str(shop.directory), [(1, 7), (2, 1)]))
    assert shop.files() == []
    obey(Order(shop.url, str(shop.directory), [(1, 1), (1, 7)]))

    assert shop.files() == ["1-1.rates"]


def test_a_table_that_goes_away_while_it_is_compiled_is_not_waited_for(connection, shop):
    change(connection, *table(1), *many_rates(1, "1"), *table(2, "3 1"))
    catalogue, reader = shop.worker()
    wait_for(reader, connection, lambda: reader._files._process is not None)
    change(connection, "DELETE FROM rate WHERE rate_table_id = 1", "DELETE FROM rate_table WHERE id = 1")
    reader.read_all(connection)

    assert catalogue.version == 2
    assert prices(catalogue, 2) == {"3": [Decimal(1)]}


def test_several_large_tables_take_one_process(connection, shop, monkeypatch):
    change(connection, *(part for id in (1, 2, 3) for part in (*table(id), *many_rates(id, str(id)))))
    started: list[object] = []
    start = CompiledFiles._started
    monkeypatch.setattr(CompiledFiles, "_started", lambda *args: (started.append(args), start(*args))[1])
    catalogue, reader = shop.worker()
    reader.read_all(connection)

    assert {id: all_prices(catalogue, id) for id in (1, 2, 3)} == {id: {Decimal(id)} for id in (1, 2, 3)}
    assert len(started) == 1


def test_rates_of_earlier_versions_are_history_and_not_read(connection, shop, monkeypatch):
    change(connection, *table(1, "44 1", "45 1"), "UPDATE rate SET until_import = 1 WHERE code = '45'")
    change(
        connection,
        *table(2),
        *many_rates(2, "1"),
        "UPDATE rate SET until_import = 1 WHERE code BETWEEN '14001' AND '2'",
    )
    catalogue, reader = shop.worker()
    reader.read_all(connection)

    assert prices(catalogue) == {"44": [Decimal(1)]}
    assert max(code for code, *_ in catalogue.rate_tables[2].rates) == "14000"


def test_both_ways_of_compiling_find_the_same(connection, shop):
    new_version = (
        "INSERT INTO rate (rate_table_id, code, destination, price_per_minute, setup_fee,"
        " min_volume_seconds, interval_seconds, grace_seconds, effective_from, end_date, time_profile,"
        " number_length_max, blocked)"
        " SELECT 1, code, 'New', 3.1250, 0.1, 30, 6, 2, '2026-01-01T12:00:00.000001Z', '2026-02-01Z', {}, 12,"
        " true FROM rate WHERE code LIKE '%{}' AND end_date IS NULL"
    )
    change(
        connection,
        *table(1),
        *many_rates(1, "1", 2000),
        new_version.format("NULL", 7),
        new_version.format("'peak'", 8),
    )
    catalogue, reader = shop.worker()
    reader.read_all(connection)
    here = Catalogue()
    CatalogueReader(here).read_all(connection)

    assert shop.files() == ["1-1.rates"]
    assert sorted(map(repr, catalogue.rate_tables[1].rates)) == sorted(map(repr, here.rate_tables[1].rates))
    assert len(list(here.rate_tables[1].rates)) == 2400


def test_other_definitions_do_not_wait_for_the_new_rates_of_a_table_that_is_there(connection, shop):
    """A client who is stopped while a million rates are compiled is stopped by the very next step."""
    change(connection, *table(1), *many_rates(1, "1"), client(1, 1))
    catalogue, reader = shop.worker()
    reader.read_all(connection)
    change(connection, *REPRICED)
    wait_for(reader, connection, lambda: reader._files._process is not None)
    reader._files._process.send_signal(signal.SIGSTOP)
    change(connection, "UPDATE client SET status = 'stop', changed_in = NEXT", client(2, 1))
    reader.step(connection)

    assert (catalogue.clients[1].status, len(catalogue.clients)) == (Status.STOP, 2)
    assert all_prices(catalogue) == {Decimal(1)}
    reader._files._process.send_signal(signal.SIGCONT)
    reader.read_all(connection)
    assert all_prices(catalogue) == {Decimal(2)}
