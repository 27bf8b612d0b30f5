"""The row that proves that a database keeps what it is given, and what is said when it does not."""

from collections.abc import Callable

import pytest
from postgres import PostgresServer, connect
from sqlalchemy.engine import make_url

from billing_core.ports import StorageDownError
from billing_core.storage.connection import connect as connect_bounded
from billing_core.storage.connection import translated
from billing_core.storage.pulse import Pulse, Trouble, trouble_of


def pulse_at(url: str) -> str:
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, at FROM pulse")
        [(id, at)] = cursor.fetchall()
        assert id == 1
        return str(at)


@pytest.mark.parametrize("with_room", [False, True])
def test_each_beat_is_a_commit_of_one_row(migrated_url: str, with_room: bool) -> None:
    pulse = Pulse(lambda: migrated_url)
    pulse.beat(with_room=with_room)
    first = pulse_at(migrated_url)
    pulse.beat(with_room=with_room)

    assert pulse_at(migrated_url) > first
    pulse.close()


def test_the_proof_of_room_leaves_nothing_behind(migrated_url: str) -> None:
    pulse = Pulse(lambda: migrated_url)
    for _ in range(3):
        pulse.beat(with_room=True)

    with connect(migrated_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(oid) FROM pg_class WHERE relname = 'room'")
        assert cursor.fetchall() == [(0,)]
    pulse.close()


def test_a_connection_that_was_ended_is_opened_anew(migrated_url: str) -> None:
    pulse = Pulse(lambda: migrated_url)
    pulse.beat(with_room=False)
    pulse.cut()
    with pytest.raises(StorageDownError):
        pulse.beat(with_room=False)

    pulse.beat(with_room=False)
    pulse.close()


def fails(url: str, statement: str) -> StorageDownError:
    connection = connect_bounded(url, application="test")

    def run() -> None:
        with translated(), connection.cursor() as cursor:
            cursor.execute(statement)

    with pytest.raises(StorageDownError) as caught:
        run()
    return caught.value


@pytest.mark.parametrize(
    ("state", "trouble"),
    [
        ("53100", Trouble.FULL),
        ("25006", Trouble.READ_ONLY),
        ("53300", Trouble.REFUSING),
        ("42501", Trouble.REFUSING),
        ("57P01", Trouble.AWAY),
    ],
)
def test_what_the_server_says_by_code_is_known(migrated_url: str, state: str, trouble: Trouble) -> None:
    raised = f"DO $$ BEGIN RAISE EXCEPTION 'words' USING ERRCODE = '{state}'; END $$"

    assert trouble_of(fails(migrated_url, raised)) is trouble


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        ('could not extend file "base/1": No space left on device', Trouble.FULL),
        ('could not open file "pg_wal/1": Read-only file system', Trouble.READ_ONLY),
        ("FATAL: the database system is in recovery mode", Trouble.STARTING),
        ("FATAL: the database system is starting up", Trouble.STARTING),
        ('FATAL: password authentication failed for user "radiusd"', Trouble.REFUSING),
        ("connection refused", Trouble.AWAY),
    ],
)
def test_what_it_says_before_there_are_codes_is_known_by_its_words(words: str, trouble: Trouble) -> None:
    assert trouble_of(StorageDownError(words)) is trouble


@pytest.mark.parametrize(
    ("changed", "trouble"),
    [
        (lambda url: url.set(database="nowhere"), Trouble.REFUSING),
        (lambda url: url.set(query={**url.query, "port": "1"}), Trouble.AWAY),
    ],
)
def test_a_server_that_lets_nobody_in_is_told_from_one_that_is_away(
    postgres_server: PostgresServer, migrated_url: str, changed: Callable[..., object], trouble: Trouble
) -> None:
    url = changed(make_url(migrated_url))
    pulse = Pulse(lambda: str(url))
    with pytest.raises(StorageDownError) as caught:
        pulse.beat(with_room=False)

    assert trouble_of(caught.value) is trouble
