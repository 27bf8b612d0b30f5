"""What fails around the daemon: its database's disk, the machine's processes and descriptors, its HTTP port.

Each is told in one line with the cure, nothing is acknowledged that is not kept, and all goes on without a
restart when it is over.
"""

import json
import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from daemon_process import (
    RADIUSD,
    Billing,
    Daemon,
    Settings,
    StartDaemon,
    await_ready,
    descriptors,
    eventually,
    no_more_descriptors,
    start,
)
from daemon_world import DEFINITIONS, RATES
from postgres import connect, open_folder
from radius_switch import STOP, new_call
from sqlalchemy.engine import make_url

from billing_core.storage.embedded import EmbeddedServer
from radiusd.machine import HTTP_CONNECTIONS_MAX
from radiusd.wire import Code

ROOT = os.geteuid() == 0
_DISK_OCTETS = 256 * 1024 * 1024
CROWD = 400


def reasons(daemon: Daemon) -> dict[str, str]:
    """Return what /readyz says: each part that is not ready, with its state."""
    told = json.loads(daemon.get("/readyz")[1])
    return {reason["part"]: reason["state"] for reason in told["reasons"]}


def silent(daemon: Daemon) -> bool:
    """Tell whether Status-Server gets no answer."""
    with daemon.switch() as switch:
        return switch.gets_no_answer(switch.status(), daemon.auth_port)


# --- the database -------------------------------------------------------------------------------------------


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Let a database take nothing, as a replica does."""
    name = make_url(url).database

    def say(value: str) -> None:
        with closing(connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    say("on")
    yield
    say("off")


def test_a_database_that_takes_nothing_is_found_out_without_traffic(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    client, call = daemon.client(), new_call()

    with read_only(daemon.url):
        assert eventually(lambda: not daemon.is_ready(), 8)
        assert eventually(lambda: reasons(daemon).get("database") == "read_only")
        assert silent(daemon)
        with daemon.switch() as switch:
            stop = switch.record(STOP, call, user=client, seconds=61)
            assert switch.gets_no_answer(stop)
    assert eventually(daemon.is_ready)
    with daemon.switch() as switch:
        assert switch.insist(stop).code is Code.ACCOUNTING_RESPONSE

    [line] = daemon.logs("database_down", trouble="read_only")
    assert "name the primary server in database.url" in line["cure"]
    assert daemon.logs("database_back")
    assert daemon.billing.money(client)[0] == "-0.61"


def write_world(folder: Path, text: str) -> None:
    """Write a configuration of which *text* is the radiusd.toml."""
    text = text.replace("apply_on_start = []", "")
    for name, content in {**RATES, "billing.toml": DEFINITIONS, "radiusd.toml": text}.items():
        (folder / name).write_text(content, encoding="utf-8")


@pytest.fixture
def on_a_small_disk() -> Iterator[Daemon]:
    """Give a daemon whose embedded database has a small disk of its own, which only the daemon sees."""
    with open_folder() as folder:
        disk = folder / "disk"
        disk.mkdir()
        settings = Settings("")
        write_world(folder, settings.text().replace('url = ""', f'directory = "{disk}/postgres"'))
        script = 'mount -t tmpfs -o "size=$1,mode=755" none "$2" && shift 2 && exec "$@"'
        mounting = ["unshare", "--mount", "sh", "-c", script, "sh", str(_DISK_OCTETS), str(disk)]
        with (folder / "stderr.txt").open("ab") as stderr:
            process = subprocess.Popen(
                [*mounting, str(RADIUSD), "serve", "--config", str(folder)],
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        daemon = Daemon(process, folder, settings, *await_ready(process, folder), Billing(folder))
        yield daemon
        assert daemon.stop() == 0


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill a disk to the last octet, and make room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    yield
    filler.unlink()


def run_inside(daemon: Daemon, *command: str) -> str:
    """Return what a command says that sees the daemon's own disk."""
    inside = ["nsenter", f"--target={daemon.process.pid}", "--mount", *command]
    return subprocess.run(inside, capture_output=True, check=True, text=True).stdout


def told_inside(daemon: Daemon, *arguments: str) -> Any:
    """Return what a `billing` command says there."""
    command = [str(RADIUSD.with_name("billing")), "--config", str(daemon.directory), *arguments, "--json"]
    return json.loads(run_inside(daemon, *command))


@contextmanager
def read_only_disk(daemon: Daemon, disk: Path) -> Iterator[None]:
    """Let a disk take nothing, as the kernel does with one that fails; the database has died of it."""
    [file] = disk.glob("**/postmaster.pid")
    data = f"{daemon.directory}/disk/{file.parent.relative_to(disk)}"
    # What is open may still be written, as long as it is.
    run_inside(daemon, "mount", "--bind", data, data)
    run_inside(daemon, "mount", "-o", "remount,bind,ro", data)
    os.kill(postmaster(disk), signal.SIGKILL)
    yield
    run_inside(daemon, "umount", data)


def postmaster(disk: Path) -> int:
    """Return the main process of the embedded database on *disk*."""
    [file] = disk.glob("**/postmaster.pid")
    return int(file.read_text().split()[0])


if ROOT:  # Nobody else may mount a disk.

    def test_a_full_disk_is_told_loses_nothing_and_is_over_when_there_is_room(
        on_a_small_disk: Daemon,
    ) -> None:
        daemon = on_a_small_disk
        disk = Path(f"/proc/{daemon.process.pid}/root{daemon.directory}/disk")
        calls = [new_call() for _ in range(60)]
        kept = 0

        with daemon.switch() as switch:
            records = [switch.record(STOP, call, user="alice", seconds=60) for call in calls]
            with full(disk):
                assert eventually(lambda: reasons(daemon).get("database") == "full", 15)
                assert silent(daemon)
                for record in records:
                    switch.send(record)
                    kept += switch.answer(record, 0.05) is not None
            assert eventually(daemon.is_ready, 30)
            for record in records:
                assert switch.insist(record).code is Code.ACCOUNTING_RESPONSE

        [line] = daemon.logs("database_down", trouble="full")
        assert "No space left on device" in line["reason"]
        assert "free space on its disk" in line["cure"]
        charged = told_inside(daemon, "xdrs")
        assert sorted(xdr["call_id"] for xdr in charged) == sorted(calls)
        assert told_inside(daemon, "verify")["ok"]
        assert kept < len(records)

    def test_a_disk_that_cannot_be_written_is_told_and_over_when_it_can(on_a_small_disk: Daemon) -> None:
        daemon = on_a_small_disk
        disk = Path(f"/proc/{daemon.process.pid}/root{daemon.directory}/disk")

        with daemon.switch() as switch:
            record = switch.record(STOP, new_call(), user="alice", seconds=60)
            with read_only_disk(daemon, disk):
                assert eventually(lambda: reasons(daemon).get("database") == "read_only", 15)
                assert silent(daemon)
                assert switch.gets_no_answer(record)
            assert eventually(daemon.is_ready, 30)
            assert switch.insist(record).code is Code.ACCOUNTING_RESPONSE

        [line] = daemon.logs("database_not_restarted")
        assert line["trouble"] == "read_only"
        assert "Read-only file system" in line["reason"]
        assert "mount it writable" in line["cure"]
        assert not daemon.lines("watch_failed")
        assert told_inside(daemon, "verify")["ok"]


# --- processes and descriptors ------------------------------------------------------------------------------


@contextmanager
def no_more_processes(pid: int) -> Iterator[None]:
    """Let a process, which is not root's, start no other."""

    def allow(many: int) -> None:
        # By a process of the same user: root may not everywhere.
        bound = "import resource, sys; pid, many = map(int, sys.argv[1:]); kind = resource.RLIMIT_NPROC; "
        bound += "resource.prlimit(pid, kind, (many, resource.prlimit(pid, kind)[1]))"
        of = Path(f"/proc/{pid}").stat()
        who: dict[str, Any] = {"user": of.st_uid, "group": of.st_gid, "extra_groups": []} if ROOT else {}
        subprocess.run([sys.executable, "-c", bound, str(pid), str(many)], check=True, **who)

    before = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    allow(0)
    yield
    allow(before)


def test_a_worker_that_cannot_be_started_is_told_once_and_tried_until_it_can(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon()
    [worker] = daemon.workers()

    with no_more_descriptors(daemon.process.pid):
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: daemon.lines("worker_not_started"))
        time.sleep(2.5)
        assert daemon.process.poll() is None
    assert eventually(lambda: daemon.is_ready() and daemon.workers() != [worker])

    with daemon.switch() as switch:
        assert switch.insist(switch.access(user=daemon.client(), call=new_call())).accepted
    [line] = daemon.lines("worker_not_started")
    assert "Too many open files" in line["reason"]
    assert "limits of processes and open files" in line["cure"]


@pytest.fixture
def of_an_ordinary_user() -> Iterator[Daemon]:
    """Give a daemon with an embedded database whose processes are bound by limits: root's are not."""
    with open_folder() as folder:
        user = "daemon" if ROOT else pwd.getpwuid(os.geteuid()).pw_name
        settings = Settings("embedded", head=f'user = "{user}"', billing="")
        (folder / "config").mkdir()
        write_world(folder / "config", settings.text())
        daemon = start(folder / "config", settings)
        yield daemon
        assert daemon.stop() == 0


def test_no_memory_for_another_process_is_told_once_and_over_when_there_is_some(
    of_an_ordinary_user: Daemon,
) -> None:
    daemon = of_an_ordinary_user
    [worker] = daemon.workers()

    with no_more_processes(daemon.process.pid):
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: daemon.logs("worker_not_started"))
        time.sleep(1.5)
    assert eventually(lambda: daemon.is_ready() and daemon.workers() != [worker])

    with daemon.switch() as switch:
        assert switch.insist(switch.access(user="alice", call=new_call())).accepted
    [line] = daemon.logs("worker_not_started")
    assert "Resource temporarily unavailable" in line["reason"]
    assert "give the machine memory" in line["cure"]


def test_a_database_without_memory_for_a_process_is_told_and_over_when_there_is_some(
    of_an_ordinary_user: Daemon,
) -> None:
    daemon = of_an_ordinary_user
    folder = daemon.directory.parent / "var/postgres"
    with (
        closing(connect(EmbeddedServer(folder).url())) as connection,
        connection.cursor() as cursor,
        no_more_processes(postmaster(folder)),
    ):
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'radiusd%'"
        )
        assert eventually(lambda: reasons(daemon).get("database") == "exhausted")
        assert silent(daemon)
    assert eventually(daemon.is_ready)

    with daemon.switch() as switch:
        assert switch.insist(switch.access(user="alice", call=new_call())).accepted
    [line] = daemon.logs("database_down", trouble="exhausted")
    assert "could not fork" in line["reason"]
    assert "give its machine memory" in line["cure"]


def test_a_crowd_at_the_http_port_takes_nothing_that_calls_need(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    pid, [worker] = daemon.process.pid, daemon.workers()
    before = descriptors(pid)
    crowd = []
    try:
        for _ in range(CROWD):
            crowd.append(socket.create_connection(("127.0.0.1", daemon.http_port), timeout=5))
            crowd[-1].sendall(b"GET /metrics HTTP/1.1\r\nX-A: ")
        assert daemon.is_ready()
        assert eventually(lambda: descriptors(pid) <= before + HTTP_CONNECTIONS_MAX + 2)
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: daemon.workers() not in ([], [worker]) and daemon.is_ready())
    finally:
        for connection in crowd:
            connection.close()

    with daemon.switch() as switch:
        assert switch.insist(switch.access(user=daemon.client(), call=new_call())).accepted
    assert all(line["event"] != "http_failed" for line in daemon.lines())
