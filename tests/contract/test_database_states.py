"""A database that is there but can't serve, or holds what nobody defined: told, survived, never guessed."""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest
from calls import ALICE_ACCOUNT, NOON, VENDOR, VENDOR_ACCOUNT, catalogue, start, stop
from postgres import connect
from sqlalchemy.engine import make_url
from worlds import World, postgres_world, read_state

from billing_core.charging import Charging, Recorded
from billing_core.limits import Limits
from billing_core.ports import DataRefusedError, StorageDownError
from billing_core.storage.connection import connect as connect_for_turns
from billing_core.storage.postgres import PostgresStorage

SERVING = "serving_role_of_states"


@pytest.fixture
def url(migrated_url: str) -> Iterator[str]:
    """Give the URL of a world for a role that is bound by limits, as a superuser is not."""
    postgres_world(migrated_url, [])
    name = make_url(migrated_url).database
    run(
        migrated_url,
        f"CREATE ROLE {SERVING} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {SERVING};"
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {SERVING}",
    )
    yield migrated_url
    run(migrated_url, f'ALTER DATABASE "{name}" RESET ALL; DROP OWNED BY {SERVING}; DROP ROLE {SERVING}')


def run(url: str, statement: str) -> None:
    """Run a statement as the owner, and end whoever else is connected: they must find out what changed."""
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ WRITE")
        cursor.execute(statement.replace("DATABASE HERE", f'DATABASE "{make_url(url).database}"'))
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


STATES = {
    # what is done to the database, and what undoes it
    "read-only, as a copy that replicates": (
        "ALTER DATABASE HERE SET default_transaction_read_only = on",
        "ALTER DATABASE HERE SET default_transaction_read_only = off",
    ),
    "no connection left": (
        "ALTER DATABASE HERE CONNECTION LIMIT 0",
        "ALTER DATABASE HERE CONNECTION LIMIT -1",
    ),
    "the role may not log in any more": (f"ALTER ROLE {SERVING} NOLOGIN", f"ALTER ROLE {SERVING} LOGIN"),
    "a table may not be written": (
        f"REVOKE INSERT ON xdr FROM {SERVING}",
        f"GRANT INSERT ON xdr TO {SERVING}",
    ),
}


@pytest.fixture
def storage(url: str) -> Iterator[PostgresStorage]:
    opened = PostgresStorage(make_url(url).set(username=SERVING).render_as_string(False), "test")
    yield opened
    opened.close()


@pytest.mark.parametrize("state", STATES)
def test_a_database_that_cannot_serve_is_away_and_serves_again_when_it_can_b_164(
    url: str, storage: PostgresStorage, state: str
) -> None:
    harm, mend = STATES[state]
    charging = Charging(storage, catalogue(), Limits())
    charging.handle([start()], NOON)
    run(url, harm)
    storage.close()

    with pytest.raises(StorageDownError):
        charging.handle([stop(61)], NOON)
    storage.close()
    run(url, mend)
    charging.handle([stop(61)], NOON)
    assert [xdr.amount for xdr in read_state(url).xdrs] == [Decimal("0.61")]


def test_a_connection_that_was_ended_is_opened_anew_b_164(url: str, storage: PostgresStorage) -> None:
    charging = Charging(storage, catalogue(), Limits())
    charging.handle([start()], NOON)
    run(url, "SELECT 1")

    with pytest.raises(StorageDownError):
        charging.handle([stop(61)], NOON)
    charging.handle([stop(61)], NOON)
    assert [xdr.amount for xdr in read_state(url).xdrs] == [Decimal("0.61")]


def test_no_wait_for_the_database_outlasts_a_switchs_patience_b_124(migrated_url: str) -> None:
    found = {}
    with closing(connect_for_turns(migrated_url, application="test")) as connection:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            with connection.cursor() as cursor:
                cursor.execute("SELECT setting::int FROM pg_settings WHERE name = %s", (name,))
                [(found[name],)] = cursor.fetchall()

    assert all(0 < milliseconds <= 5000 for milliseconds in found.values())
    assert found["lock_timeout"] < found["statement_timeout"] < 3000


def test_a_leg_of_a_client_who_is_gone_harms_no_other_record_b_161(world: World) -> None:
    world.charging().handle([start()], NOON)
    left = Charging(world.new_storage(), catalogue((VENDOR, [VENDOR_ACCOUNT])), Limits())

    with pytest.raises(DataRefusedError, match="not defined"):
        left.handle([stop(61)], NOON)
    [other] = left.handle([stop(61, "call-2", name=None, ip=None, calling="")], NOON)

    assert isinstance(other, Recorded)
    assert world.state().live(ALICE_ACCOUNT.client_id) == 10
