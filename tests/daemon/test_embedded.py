"""The embedded database keeps what was committed and harms nothing around it, whoever is killed.

The tests run as root and as an ordinary user; as root they also cross from one user to another.
"""

import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from postgres import PostgresServer, connect

from billing_core.storage import embedded, embedded_user
from billing_core.storage.embedded import EmbeddedServer, EmbeddedServerError, borrow
from billing_core.storage.embedded_files import SOCKET, SOCKET_PATH_MAX
from billing_core.storage.embedded_user import ServerUser, choose_user, with_access
from billing_core.storage.schema import prepare

ROOT = os.geteuid() == 0

DAEMON = """
import sys, time
from pathlib import Path
from billing_core.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
sys.stdout.write(f"{server.pid}\\n")
sys.stdout.flush()
sys.stdin.read()
server.stop()
"""

BORROWER = """
import sys
from pathlib import Path
from billing_core.storage.embedded import borrow
with borrow(Path(sys.argv[1])) as server:
    sys.stdout.write(f"{server.pid}\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a directory whose server has run once, to be copied: initdb takes its time."""
    directory = tmp_path_factory.mktemp("prepared") / "database"
    server = EmbeddedServer(directory)
    server.start()
    server.stop()
    return directory


@pytest.fixture
def directory(prepared: Path, tmp_path: Path) -> Iterator[Path]:
    """Give a directory with a cluster that is not running; what a test leaves running is ended."""
    directory = tmp_path / "database"
    subprocess.run(["cp", "-a", str(prepared), str(directory)], check=True)
    yield directory
    end_server(directory)


@contextmanager
def kept(directory: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def program(source: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run *source* beside us until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", source, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


@contextmanager
def sleeper(user: int) -> Iterator[subprocess.Popen[bytes]]:
    """Give a living process of *user* that has nothing to do with PostgreSQL."""
    with subprocess.Popen(["sleep", "600"], user=user if ROOT else None) as process:
        yield process
        assert process.poll() is None
        process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end_server(directory: Path) -> None:
    for pid in EmbeddedServer(directory).files.processes():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not EmbeddedServer(directory).files.processes())


def kill_server(server: EmbeddedServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not server.alive())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def execute(server: EmbeddedServer, statement: str) -> list[tuple[object, ...]]:
    with closing(connect(server.url())) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def ownership(directory: Path) -> dict[Path, tuple[int, int, int]]:
    """Return owner, group and mode of *directory*, all above it and the folders below it."""
    paths = [directory, *directory.parents, directory / "data", *(directory / "run").glob("*.l*")]
    statuses = {path: path.stat() for path in paths}
    return {path: (status.st_uid, status.st_gid, status.st_mode) for path, status in statuses.items()}


def owner_of(directory: Path) -> int:
    return (directory / "data").stat().st_uid


def test_what_is_committed_is_durable_and_the_server_speaks_utc_and_utf8(directory: Path) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes", "TimeZone", "server_encoding", "jit")

    with kept(directory) as server:
        shown = [execute(server, f"SHOW {name}")[0][0] for name in names]
        listening = execute(server, "SHOW listen_addresses")

    assert shown == ["on", "on", "on", "UTC", "UTF8", "off"]
    assert listening == [("",)]


def test_text_sorts_by_code_point_and_knows_upper_and_lower_case(directory: Path) -> None:
    with kept(directory) as server:
        answer = execute(server, "SELECT 'Z' < 'a', 'z' < 'é', upper('é')")

    assert answer == [(True, True, "É")]


def test_the_environment_of_the_caller_leads_nobody_astray(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "1", "PGHOST": "/nowhere", "PGDATABASE": "x", "PGDATA": "/nowhere"}.items():
        monkeypatch.setenv(name, value)

    with kept(directory) as server:
        assert execute(server, "SELECT current_database()") == [("billing",)]


def test_a_killed_daemon_leaves_the_server_to_the_next_one(directory: Path) -> None:
    with program(DAEMON, directory) as daemon:
        pid = int(first_line(daemon))
        execute(EmbeddedServer(directory), "CREATE TABLE paid AS SELECT 7 AS amount")
        daemon.kill()

    with kept(directory) as server:
        assert server.pid == pid
        assert execute(server, "SELECT amount FROM paid") == [(7,)]
    assert not server.files.processes()


def test_a_killed_server_is_noticed_and_started_again_with_all_that_was_committed(directory: Path) -> None:
    with kept(directory) as server:
        execute(server, "CREATE TABLE paid AS SELECT 7 AS amount")
        assert not server.ensure()
        killed = server.pid
        kill_server(server)

        assert server.ensure()
        assert server.pid not in (None, killed)
        assert execute(server, "SELECT amount FROM paid") == [(7,)]


def test_a_statement_that_outlives_the_killed_server_does_not_keep_it_away(directory: Path) -> None:
    with kept(directory) as server, ExitStack() as connections:
        busy = psycopg2.connect(
            dbname="billing", user="billing", host=server.files.socket_folder, async_=True
        )
        connections.callback(busy.close)
        wait_until(lambda: busy.poll() == psycopg2.extensions.POLL_OK)
        busy.cursor().execute("DO $$ BEGIN LOOP END LOOP; END $$")
        wait_until(
            lambda: ("active",) in execute(server, "SELECT state FROM pg_stat_activity WHERE query ~ '^DO'")
        )
        kill_server(server)
        assert server.files.processes()

        assert server.ensure()
        assert server.answers()


@pytest.mark.parametrize("stale", ["data/postmaster.pid", f"run/{SOCKET}.lock"])
def test_a_stale_file_that_names_a_living_stranger_does_not_block_the_start(
    directory: Path, stale: str
) -> None:
    with kept(directory) as server:
        file = directory / stale
        kill_server(server)
        wait_until(lambda: not server.files.processes())
        with sleeper(owner_of(directory)) as stranger:
            file.write_text("\n".join([str(stranger.pid), *file.read_text().splitlines()[1:]]) + "\n")

            assert not server.alive()
            assert server.ensure()
            assert server.answers()


def test_a_stale_file_that_names_another_directorys_server_does_not_block_the_start(
    directory: Path, tmp_path: Path
) -> None:
    with kept(directory) as server, kept(tmp_path / "other") as other:
        file = directory / "data/postmaster.pid"
        kill_server(server)
        file.write_text("\n".join([str(other.pid), *file.read_text().splitlines()[1:]]) + "\n")

        assert server.ensure()
        assert server.pid not in (None, other.pid)
        assert other.answers()


def test_a_server_that_lives_but_does_not_answer_is_reported_and_never_doubled(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "PREDECESSOR_TIMEOUT_SECONDS", 0.1)
    with program(DAEMON, directory) as daemon:
        pid = int(first_line(daemon))
        daemon.kill()
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(EmbeddedServerError, match=str(pid)):
            EmbeddedServer(directory).start()
    finally:
        os.kill(pid, signal.SIGCONT)

    with kept(directory) as server:
        assert server.pid == pid


def test_a_borrower_beside_a_daemon_changes_nothing(directory: Path) -> None:
    users = pwd.getpwall()
    with kept(directory) as server:
        pid, before = server.pid, ownership(directory)
        assert (owner_of(directory) != os.geteuid()) == ROOT

        with borrow(directory) as borrowed:
            assert borrowed.pid == pid
            assert execute(borrowed, "SELECT 1") == [(1,)]

        assert server.answers()
        assert server.pid == pid
        assert ownership(directory) == before
        assert pwd.getpwall() == users


def test_a_borrower_without_a_daemon_starts_a_server_as_the_owner_and_stops_it(directory: Path) -> None:
    owner = owner_of(directory)

    with borrow(directory) as server:
        assert server.answers()
        assert Path(f"/proc/{server.pid}").stat().st_uid == owner

    assert not server.files.processes()


def test_of_several_borrowers_the_last_one_stops_the_server(directory: Path) -> None:
    with borrow(directory) as server:
        with ExitStack() as first:
            first.enter_context(borrow(directory))
        assert server.answers()
    assert not server.files.processes()

    first, second = ExitStack(), ExitStack()
    first.enter_context(borrow(directory))
    server = second.enter_context(borrow(directory))
    first.close()
    assert server.answers()
    second.close()
    assert not server.files.processes()


def test_a_borrower_leaves_the_server_to_the_daemon_that_came_meanwhile(directory: Path) -> None:
    with ExitStack() as daemon:
        with borrow(directory) as borrowed:
            server = daemon.enter_context(kept(directory))
            pid = borrowed.pid

        assert server.answers()
        assert server.pid == pid


def test_a_borrower_leaves_running_what_a_killed_daemon_left_behind(directory: Path) -> None:
    with program(DAEMON, directory) as daemon:
        pid = int(first_line(daemon))
        daemon.kill()

    with borrow(directory) as server:
        pass

    assert server.pid == pid


def test_borrowers_that_start_at_once_share_one_server(directory: Path) -> None:
    with program(BORROWER, directory) as one, program(BORROWER, directory) as other:
        pids = {first_line(one), first_line(other)}

        assert len(pids) == 1
        assert EmbeddedServer(directory).pid == int(pids.pop())


def test_a_second_daemon_is_refused_and_told_who_keeps_the_database(directory: Path) -> None:
    with kept(directory) as server:
        second = EmbeddedServer(directory)

        with pytest.raises(EmbeddedServerError, match=f"process {os.getpid()}"):
            second.start()
        second.stop()
        assert server.answers()


def test_a_directory_that_another_user_owns_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    # An ordinary user meets root's directory; root, who may serve anybody's, meets a cluster it cannot serve.
    directory = tmp_path if ROOT else Path("/usr")
    if ROOT:
        (directory / "data").mkdir(mode=0o755)
    before = sorted(directory.iterdir())

    with pytest.raises(
        EmbeddedServerError, match=r"belongs to (user )?root.*database\.url|belongs to user root"
    ):
        EmbeddedServer(directory).start()

    assert [path for path in sorted(directory.iterdir()) if path.name != "run"] == before


def test_an_ordinary_user_is_refused_the_directory_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(EmbeddedServerError, match="belongs to user root, but this process runs as 12345"):
        choose_user(Path("/srv/billing"), owner=0)


def test_closed_parent_folders_stay_closed_and_the_server_runs_all_the_same(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    users, before = pwd.getpwall(), [folder.stat() for folder in (closed, *closed.parents)]

    with kept(closed / "new" / "database") as server:
        assert execute(server, "SELECT 1") == [(1,)]

    after = [folder.stat() for folder in (closed, *closed.parents)]
    assert [(s.st_uid, s.st_gid, s.st_mode) for s in after] == [
        (s.st_uid, s.st_gid, s.st_mode) for s in before
    ]
    assert pwd.getpwall() == users
    assert stat.S_IMODE((closed / "new" / "database").stat().st_mode) == 0o700


def test_a_parent_folder_that_cannot_be_passed_is_named_with_the_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_user, "CAPABILITIES", (None,))
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    # Some folder above may already be closed for the server's user, such as the one pytest makes for root.
    candidates = "|".join(map(str, (closed, *closed.parents)))

    with pytest.raises(EmbeddedServerError, match=rf"^({candidates}).*database\.directory.*database\.url"):
        EmbeddedServer(closed / "database").start()


def test_a_capability_is_used_only_where_a_folder_is_closed(tmp_path: Path) -> None:
    # The temporary folder itself is open to everybody; pytest's own folders are not.
    directory = Path("/tmp")
    user = choose_user(directory, None)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    programs = closed / "programs"
    for file in ("bin/initdb", "bin/postgres", "share/postgresql/postgres.bki"):
        (programs / file).parent.mkdir(parents=True, exist_ok=True)
        (programs / file).write_text("#!/bin/sh\n")
        (programs / file).chmod(0o755)

    through_closed = with_access(user, directory, programs)
    in_the_open = ServerUser(user.uid, user.gid).enters(directory)

    assert through_closed.capability == ("dac_read_search" if ROOT else None)
    assert in_the_open


def test_a_directory_too_deep_for_a_socket_is_served_and_found(tmp_path: Path) -> None:
    directory = tmp_path / ("deep" * 20) / ("deeper" * 20)

    with kept(directory) as server, borrow(directory) as borrowed:
        folder = server.files.socket_folder
        assert borrowed.url() == server.url()
        assert execute(borrowed, "SELECT 1") == [(1,)]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    assert len(os.fsencode(folder / SOCKET)) <= SOCKET_PATH_MAX
    folder.rmdir()


def test_a_socket_folder_that_others_prepared_is_refused(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / ("deep" * 20) / ("deeper" * 20))
    folder = server.files.socket_folder
    folder.mkdir()
    folder.chmod(0o777)

    try:
        with pytest.raises(EmbeddedServerError, match=f"{folder}: belongs to .*mode 777"):
            server.start()
    finally:
        folder.rmdir()


def test_an_initdb_that_was_killed_leaves_nothing_that_counts_as_a_cluster(tmp_path: Path) -> None:
    unfinished = tmp_path / "data.unfinished-x"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")

    with kept(tmp_path) as server:
        assert server.answers()

    assert not unfinished.exists()


def test_the_terminal_and_the_open_files_of_the_caller_are_not_the_servers(directory: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    os.set_blocking(reading, False)

    with kept(directory) as server:
        os.close(writing)
        assert server.pid is not None
        assert os.getsid(server.pid) != os.getsid(0)
        # The end of the file: nobody else has the pipe open for writing.
        assert os.read(reading, 1) == b""
    os.close(reading)


def test_a_missing_wheel_is_reported_with_both_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_user, "WHEEL", "no_such_wheel")

    with pytest.raises(EmbeddedServerError, match=r"pip install 'radiusd\[embedded\]'.*database\.url"):
        EmbeddedServer(tmp_path / "database").start()


def test_a_start_that_fails_shows_what_postgresql_said(directory: Path) -> None:
    server = EmbeddedServer(directory, {"max_connections": "none"})

    with pytest.raises(EmbeddedServerError, match="max_connections"):
        server.start()

    with kept(directory) as mended:
        assert mended.answers()


def test_a_test_gets_an_empty_database_or_a_copy_of_a_prepared_one(
    postgres_server: PostgresServer, database_url: str
) -> None:
    with closing(connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE prepared AS SELECT 7 AS amount")
    copy, empty = postgres_server.create_database(database_url), postgres_server.create_database()

    with closing(connect(copy)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT amount FROM prepared")
        assert cursor.fetchall() == [(7,)]
    with closing(connect(empty)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('prepared')")
        assert cursor.fetchall() == [(None,)]
    postgres_server.drop_database(copy)
    postgres_server.drop_database(empty)


def test_who_serves_from_the_embedded_database_cannot_rewrite_what_explains_the_money(
    directory: Path,
) -> None:
    with kept(directory) as server:
        prepare(server.serving_url(), server.url())
        with closing(connect(server.serving_url())) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("INSERT INTO entry (client_id, kind, amount, at) VALUES (1, 'payment', 5, now())")
            cursor.execute("SELECT tableoid::regclass::text FROM entry")
            [(month,)] = cursor.fetchall()
            for statement in (
                "UPDATE entry SET amount = 6",
                "DELETE FROM xdr",
                f"DELETE FROM {month}",  # noqa: S608
                f"TRUNCATE {month}",
                f"INSERT INTO {month} SELECT * FROM entry",  # noqa: S608
                "UPDATE entry_reference SET amount = 6",
            ):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(statement)
        with closing(connect(server.url())) as connection, connection.cursor() as cursor:
            for statement in ("UPDATE entry SET amount = 6", f"TRUNCATE {month}"):
                with pytest.raises(psycopg2.errors.RaiseException, match="never edited"):
                    cursor.execute(statement)
                connection.rollback()
