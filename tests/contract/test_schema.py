"""The migrations build what the tables say, once, and money in the database is only ever added."""

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from postgres import connect
from sqlalchemy import text

from billing_core.storage.partitions import PARTITIONED
from billing_core.storage.partitions import partitions as partitions_of
from billing_core.storage.schema import MIGRATIONS, SchemaError, engine, revisions, upgrade
from billing_core.storage.tables import metadata


@pytest.fixture
def cursor(migrated_url: str) -> Iterator[psycopg2.extensions.cursor]:
    with closing(connect(migrated_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as opened:
            yield opened


def test_the_migrations_build_the_tables_of_the_program(migrated_url):
    database = engine(migrated_url)
    with database.connect() as connection:
        partitions = {name for table in PARTITIONED for name in partitions_of(connection, table)}
        options = {"include_name": lambda name, kind, parents: kind != "table" or name not in partitions}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    database.dispose()

    assert differences == []


def test_they_build_what_the_tables_would_build_down_to_checks_indexes_and_comments(
    migrated_url, database_url
):
    """The comparison above is not a strict one: here PostgreSQL itself describes both."""
    database = engine(database_url)
    metadata.create_all(database)
    database.dispose()

    assert described(migrated_url) == described(database_url)


def test_the_versions_are_those_that_the_names_of_the_files_tell_in_their_order(migrated_url):
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(configuration)

    versions = [script.revision for script in scripts.walk_revisions()]

    assert versions[::-1] == revisions()
    assert upgrade(migrated_url) == scripts.get_current_head()


DESCRIPTION = """
    WITH own AS (
        SELECT oid, relname, reloptions FROM pg_class
        WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
            AND relname <> 'alembic_version'
    )
    SELECT relname, 'table', '',
        concat(reloptions::text, obj_description(oid, 'pg_class'), pg_get_partkeydef(oid)) FROM own
    UNION ALL
    SELECT relname, 'column', attname, concat(format_type(atttypid, atttypmod), attnotnull, attidentity)
    FROM own JOIN pg_attribute ON attrelid = own.oid WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT relname, 'constraint', conname, pg_get_constraintdef(c.oid)
    FROM own JOIN pg_constraint c ON conrelid = own.oid
    UNION ALL
    SELECT relname, 'index', '', pg_get_indexdef(indexrelid) FROM own JOIN pg_index ON indrelid = own.oid
    ORDER BY 1, 2, 3, 4"""


def described(url: str) -> list[tuple[str, ...]]:
    """Return how PostgreSQL describes every column, constraint, index and setting of the tables."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(DESCRIPTION)
        return list(cursor.fetchall())


def test_upgrading_again_changes_nothing(database_url):
    first = upgrade(database_url)
    before = contents(database_url)

    assert upgrade(database_url) == first
    assert contents(database_url) == before


def test_two_programs_that_upgrade_at_once_do_it_once(database_url):
    versions: list[str] = []
    threads = [threading.Thread(target=lambda: versions.append(upgrade(database_url))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert len(versions) == 3
    assert len(set(versions)) == 1


def test_a_database_of_a_newer_program_is_refused_naming_both_versions(database_url):
    known = upgrade(database_url)
    database = engine(database_url)
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()

    with pytest.raises(SchemaError, match=f"version 9999, this program knows up to {known}"):
        upgrade(database_url)


def contents(url: str) -> list[tuple[str, ...]]:
    """Return everything that a second upgrade might touch."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger UNION ALL SELECT catalogue::text FROM catalogue ORDER BY 1"
        )
        return [*described(url), *cursor.fetchall()]


def test_the_definitions_begin_at_version_zero(cursor):
    cursor.execute("SELECT id, version FROM catalogue")

    assert cursor.fetchall() == [(1, 0)]


ENTRY = "INSERT INTO entry (client_id, kind, amount, at) VALUES (1, 'payment', 5, now())"
XDR = (
    "INSERT INTO xdr (leg_key, generation, revision, nas, leg, call_id, session_id, calling, called,"
    " disconnect_at, dated_at, billed_seconds, amount, state, recorded_at)"
    " VALUES ('x', 0, 1, '', '', '', '', '', '', now(), now(), 0, 5, 'rated', now())"
)


@pytest.mark.parametrize(("table", "insert"), [("entry", ENTRY), ("xdr", XDR)])
@pytest.mark.parametrize("edit", ["UPDATE {} SET amount = 6", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_explains_money_is_never_edited_or_deleted(cursor, table, insert, edit):
    cursor.execute(insert)
    with pytest.raises(psycopg2.errors.RaiseException, match=f"rows of table {table} are never edited"):
        cursor.execute(edit.format(table))
    cursor.execute(f"SELECT sum(amount) FROM {table}")  # noqa: S608

    assert cursor.fetchall() == [(5,)]


def test_a_payment_reference_is_used_once_by_each_client(cursor):
    pay = "INSERT INTO entry_reference VALUES (%s, %s, 'payment', 5, now())"
    for client_id, reference in [(1, "bank 7"), (2, "bank 7"), (1, "bank 8")]:
        cursor.execute(pay, (client_id, reference))

    with pytest.raises(psycopg2.errors.UniqueViolation):
        cursor.execute(pay, (1, "bank 7"))


def test_an_interval_of_nothing_is_refused(cursor):
    cursor.execute("INSERT INTO rate_table (id, name, currency, changed_in) VALUES (1, 'x', 'USD', 1)")

    with pytest.raises(psycopg2.errors.CheckViolation):
        cursor.execute("INSERT INTO rate VALUES (1, 1, '44', '', 1, 0, 1, 0, 0)")


ONE_OF_EACH = """
    INSERT INTO rate_table (id, name, currency, changed_in) VALUES (1, 'x', 'USD', 1);
    INSERT INTO rate VALUES (1, 1, '44', '', 1, 0, 1, 1, 0);
    INSERT INTO exchange_rate VALUES ('EUR', 'USD', now(), 1);
    INSERT INTO client (id, name, status, currency, timezone, tags, bill_by, postpaid, credit, company,
        changed_in) VALUES (1, 'A', 'active', 'USD', 'UTC', '{}', 'disconnect', false, 0, '{}', 1);
    INSERT INTO account (client_id, tech_prefix, orig, term) VALUES (1, '', true, false);
    INSERT INTO balance VALUES (1, 0, 0, 0, 0)"""
NO_NUMBERS = [
    *(("rate", "price_per_minute", amount) for amount in ("NaN", "Infinity", "-Infinity")),
    *(("rate", "setup_fee", amount) for amount in ("NaN", "-0.01")),
    *(("exchange_rate", "factor", amount) for amount in ("NaN", "0")),
    *(("client", column, "NaN") for column in ("credit", "charge_max", "low_balance_threshold")),
    ("account", "price_per_minute_max", "NaN"),
    *(("balance", column, "NaN") for column in ("live", "reserved")),
]


@pytest.mark.parametrize(("table", "column", "amount"), NO_NUMBERS)
def test_what_calls_are_priced_and_paid_with_is_a_number_b_161(cursor, table, column, amount):
    cursor.execute(ONE_OF_EACH)
    cursor.execute(f"UPDATE {table} SET {column} = 7.25")  # noqa: S608

    with pytest.raises(psycopg2.errors.CheckViolation, match=f"{table}_amounts_are_numbers"):
        cursor.execute(f"UPDATE {table} SET {column} = '{amount}'")  # noqa: S608


def test_rows_that_a_newer_version_refuses_are_told_and_nothing_is_changed_b_161(migrated_url):
    with closing(connect(migrated_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(ONE_OF_EACH)
        for table in ("account", "balance", "client", "exchange_rate", "rate"):
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_amounts_are_numbers")
        cursor.execute("UPDATE balance SET live = 'NaN'; UPDATE alembic_version SET version_num = '0008'")
    before = contents(migrated_url)

    with pytest.raises(SchemaError, match=r'rows that version .* refuses: .*"balance_amounts_are_numbers"'):
        upgrade(migrated_url)
    assert contents(migrated_url) == before


def test_a_database_that_cannot_keep_every_text_is_refused_b_163(postgres_server):
    url = postgres_server.create_database(options="ENCODING 'SQL_ASCII' LOCALE 'C'")

    with pytest.raises(SchemaError, match="encoding SQL_ASCII, which cannot keep every text"):
        upgrade(url)
    postgres_server.drop_database(url)
