"""Records and entries in months: made a year ahead, never edited, and no leg is charged twice across two."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from calls import request, start, stop
from postgres import connect
from sqlalchemy import text
from worlds import World, postgres_world

from billing_core.charging import Charging
from billing_core.storage import schema
from billing_core.storage.partitions import make_partitions, next_month, partitions
from billing_core.storage.postgres import PostgresStorage

MIDNIGHT = datetime(2026, 2, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 15, tzinfo=UTC)
TABLES = ("entry", "xdr", "decision")

INSERTS = {
    "entry": "INSERT INTO entry (client_id, kind, amount, at) VALUES (1, 'payment', 5, '{}')",
    "xdr": (
        "INSERT INTO xdr (leg_key, generation, revision, nas, leg, call_id, session_id, calling, called,"
        " disconnect_at, dated_at, billed_seconds, amount, state, recorded_at)"
        " VALUES ('x', 0, 1, '', '', '', '', '', '', now(), now(), 0, 5, 'rated', '{}')"
    ),
    "decision": (
        "INSERT INTO decision (at, nas, leg_key, call_id, session_id, calling, called, reason, facts)"
        " VALUES ('{}', '', '', '', '', '', '', '', '')"
    ),
}


@pytest.fixture
def cursor(migrated_url: str) -> Iterator[psycopg2.extensions.cursor]:
    with closing(connect(migrated_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as opened:
            yield opened


def make(url: str, now: datetime) -> list[str]:
    database = schema.engine(url)
    with database.begin() as connection:
        made = make_partitions(connection, now)
    database.dispose()
    return made


def place_of(cursor: psycopg2.extensions.cursor, table: str) -> list[tuple[str]]:
    cursor.execute(f"SELECT tableoid::regclass::text FROM {table}")  # noqa: S608
    return cursor.fetchall()


@pytest.mark.parametrize("table", TABLES)
def test_the_months_of_a_year_to_come_are_there_and_one_for_all_others(migrated_url: str, table: str) -> None:
    schema.extend(migrated_url)
    database = schema.engine(migrated_url)
    with database.connect() as connection:
        found = partitions(connection, table)
        now = connection.execute(text("SELECT now()")).scalar_one()
    database.dispose()
    month, expected = date(now.year, now.month, 1), []
    for _ in range(13):
        expected.append(f"{table}_{month:%Y_%m}")
        month = next_month(month)

    assert found == [*expected, f"{table}_default"]


@pytest.mark.parametrize("table", TABLES)
def test_a_row_of_a_month_without_a_partition_is_kept_and_moves_when_that_is_made(
    migrated_url: str, cursor: psycopg2.extensions.cursor, table: str
) -> None:
    cursor.execute(INSERTS[table].format("2026-01-31 23:59:59.999999+00"))
    cursor.execute(INSERTS[table].format("2019-07-01 00:00:00+00").replace("'x'", "'y'"))
    before = place_of(cursor, table)
    made = make(migrated_url, NOW)

    assert before == [(f"{table}_default",)] * 2
    assert {f"{table}_2026_01", f"{table}_2019_07"} <= set(made)
    assert sorted(place_of(cursor, table)) == [(f"{table}_2019_07",), (f"{table}_2026_01",)]
    assert make(migrated_url, NOW) == []


@pytest.mark.parametrize("part", ["", "_default", "_2026_01"])
@pytest.mark.parametrize("table", ["entry", "xdr"])
@pytest.mark.parametrize("edit", ["UPDATE {} SET amount = 6", "DELETE FROM {}", "TRUNCATE {}"])
def test_no_row_is_edited_or_deleted_by_way_of_a_partition(
    migrated_url: str, cursor: psycopg2.extensions.cursor, table: str, part: str, edit: str
) -> None:
    cursor.execute(INSERTS[table].format("2026-01-31"))
    make(migrated_url, NOW)
    # Kept in the default one: a month further off than a year.
    cursor.execute(INSERTS[table].format("2035-01-31").replace("'x'", "'y'"))

    with pytest.raises(psycopg2.errors.RaiseException, match="are never edited or deleted"):
        cursor.execute(edit.format(table + part))
    cursor.execute(f"SELECT sum(amount) FROM {table}")  # noqa: S608
    assert cursor.fetchall() == [(10,)]


def test_a_month_that_was_dropped_is_not_made_again(
    migrated_url: str, cursor: psycopg2.extensions.cursor
) -> None:
    cursor.execute("INSERT INTO closed_month VALUES ('2026-01-01', now(), 'test')")
    cursor.execute(INSERTS["entry"].format("2026-01-31"))

    assert not [name for name in make(migrated_url, NOW) if name.endswith("_2026_01")]
    assert place_of(cursor, "entry") == [("entry_default",)]


def test_the_months_go_on_by_themselves(migrated_url: str) -> None:
    assert "entry_default" not in schema.extend(migrated_url)
    assert schema.extend(migrated_url) == []

    later = make(migrated_url, datetime(2040, 12, 31, 23, 59, tzinfo=UTC))

    assert {"entry_2040_12", "entry_2041_12"} <= set(later)


def test_the_migration_moves_every_row_and_keeps_references_used(database_url: str) -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(schema.MIGRATIONS))
    database = schema.engine(database_url)
    with database.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0002")
    with database.begin() as connection:
        for statement in (
            "INSERT INTO entry (client_id, kind, amount, at, reference)"
            " VALUES (1, 'payment', 5, '2026-01-31', 'bank 7')",
            "INSERT INTO entry (client_id, kind, amount, at, leg_key, generation, revision)"
            " VALUES (1, 'charge', -2, '2026-02-01', 'x', 0, 1)",
            INSERTS["xdr"].replace(", recorded_at", "").replace(", '{}'", ""),
            INSERTS["decision"].format("2026-01-31"),
        ):
            connection.exec_driver_sql(statement)
    database.dispose()

    schema.upgrade(database_url)

    with closing(connect(database_url)) as connection, connection.cursor() as cursor:
        assert place_of(cursor, "decision") == [("decision_2026_01",)]
        assert place_of(cursor, "xdr") == [("xdr_2026_02",)]
        cursor.execute("SELECT tableoid::regclass::text, id, amount FROM entry ORDER BY id")
        assert cursor.fetchall() == [("entry_2026_01", 1, 5), ("entry_2026_02", 2, -2)]
        cursor.execute(INSERTS["entry"].format("2026-01-31") + " RETURNING id")
        assert cursor.fetchall() == [(3,)]
        cursor.execute("SELECT client_id, reference, kind, amount FROM entry_reference")
        assert cursor.fetchall() == [(1, "bank 7", "payment", 5)]


@pytest.fixture
def parted(migrated_url: str) -> Iterator[tuple[World, str]]:
    make(migrated_url, NOW)
    opened: list[PostgresStorage] = []
    yield postgres_world(migrated_url, opened), migrated_url
    for storage in opened:
        storage.close()


def test_a_stop_that_is_repeated_after_the_end_of_a_month_is_charged_once(
    parted: tuple[World, str],
) -> None:
    """Uniqueness stands in the session, so no border of partitions is one for it."""
    world, _ = parted
    charging: Charging = world.charging()
    begun = MIDNIGHT - timedelta(seconds=61)
    charging.handle([request(), start()], begun)
    before, after = MIDNIGHT - timedelta(seconds=1), MIDNIGHT + timedelta(seconds=1)
    charging.handle([stop(60)], before)
    repeated = charging.handle([stop(60)], after)
    longer = charging.handle([stop(61)], after)

    state = world.state()
    assert repeated[0].is_duplicate
    assert longer[0].charged > 0
    assert [xdr.revision for xdr in state.xdrs] == [1, 2]
    charges = [entry.amount for entry in state.entries if entry.leg_key and entry.client_id == 1]
    assert len(charges) == 2
    assert state.live(1) == Decimal(10) - state.xdrs[-1].amount == Decimal(10) + sum(charges)


def test_an_entry_and_its_record_are_of_one_month(parted: tuple[World, str]) -> None:
    world, url = parted
    charging = world.charging()
    charging.handle([request(), start()], MIDNIGHT - timedelta(seconds=61))
    charging.handle([stop(60)], MIDNIGHT - timedelta(microseconds=1))

    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT xdr.tableoid::regclass::text, entry.tableoid::regclass::text FROM xdr, entry")
        assert ("xdr_2026_01", "entry_2026_01") in cursor.fetchall()
        cursor.execute("SELECT at = recorded_at FROM xdr JOIN entry USING (leg_key, generation, revision)")
        assert cursor.fetchall() == [(True,)]
