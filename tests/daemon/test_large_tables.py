"""Rate tables too large for a turn: compiled by a process of their own, mapped by every worker."""

import os
import signal
from pathlib import Path

from daemon_process import (
    Daemon,
    StartDaemon,
    eventually,
    sql,
)
from fault_proxy import FaultProxy
from radius_switch import Switch, new_call

MANY = """
    INSERT INTO rate (rate_table_id, code, destination, price_per_minute, setup_fee, min_volume_seconds,
        interval_seconds, grace_seconds)
    SELECT (SELECT id FROM rate_table WHERE name = 'Sold'), (8600000 + number)::text, 'China', 0.6, 0, 1, 1, 0
    FROM generate_series(1, 20000) AS number"""
REPRICE = "UPDATE rate SET price_per_minute = 1.2 WHERE code LIKE '86%'"
CHANGED = """
    WITH changed AS (UPDATE catalogue SET version = version + 1 RETURNING version)
    UPDATE rate_table SET changed_in = version FROM changed WHERE name = 'Sold' RETURNING version"""


def change(url: str, statement: str) -> str:
    """Change rates straight in the database, and return how the table's file will be called."""
    ((version,),) = sql(url, f"{statement}; {CHANGED}")
    return f"-{version}.rates"


def mapped(pid: int) -> set[str]:
    """Return the files of rates that a process has in its memory."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if ".rates" in line}


def all_have(daemon: Daemon, name: str) -> bool:
    return all(
        any(path.endswith(name) for path in mapped(pid)) and len(mapped(pid)) == 1 for pid in daemon.workers()
    )


def asked(switch: Switch, user: str) -> int | None:
    """Return how long a new call to China may last for a dollar; it must be answered."""
    return switch.insist(switch.access(user=user, call=new_call(), called="8600077")).seconds


def test_a_large_table_is_taken_over_by_all_workers_and_the_old_one_serves_until_then(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon(radius='listen = ["127.0.0.1"]\nworkers = 2')
    client = daemon.client(credit="1000000")
    first = change(daemon.url, MANY)
    assert eventually(lambda: all_have(daemon, first))
    with daemon.switch() as switch:
        granted = {asked(switch, client)}
        second = change(daemon.url, REPRICE)
        while not all_have(daemon, second):
            granted.add(asked(switch, client))

    assert granted == {7200}, "nobody was refused while the table changed"
    assert len({path for pid in daemon.workers() for path in mapped(pid)}) == 1, "one file for all"
    (file,) = mapped(daemon.workers()[0])
    assert [path.name for path in Path(file).parent.glob("*.rates")] == [Path(file).name]


def test_a_new_price_of_a_large_table_is_charged_once_it_is_in_use(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    client = daemon.client(credit="1")
    file = change(daemon.url, MANY)
    assert eventually(lambda: all_have(daemon, file))
    with daemon.switch() as switch:
        before = asked(switch, client)
    file = change(daemon.url, REPRICE)
    assert eventually(lambda: all_have(daemon, file))
    richer = daemon.client(credit="1")
    with daemon.switch() as switch:
        after = asked(switch, richer)

    assert (before, after) == (100, 50)


def test_a_worker_that_takes_the_place_of_another_takes_over_its_file(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    file = change(daemon.url, MANY)
    assert eventually(lambda: all_have(daemon, file))
    (path,) = mapped(daemon.workers()[0])
    written_at = Path(path).stat().st_mtime_ns
    (worker,) = daemon.workers()
    os.kill(worker, signal.SIGKILL)

    assert eventually(lambda: daemon.workers() not in ([], [worker]) and all_have(daemon, file))
    assert Path(path).stat().st_mtime_ns == written_at


def test_a_worker_that_could_not_read_the_definitions_yet_takes_nobody_for_a_stranger(
    start_daemon: StartDaemon, fresh_url: str
) -> None:
    with FaultProxy(fresh_url) as proxy:
        daemon = start_daemon(url=proxy.url)
        file = change(fresh_url, MANY)
        assert eventually(lambda: all_have(daemon, file))
        (worker,) = daemon.workers()
        proxy.cut()
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: daemon.workers() not in ([], [worker]))
        change(fresh_url, REPRICE)
        with daemon.switch() as switch:
            assert switch.gets_no_answer(switch.access(call=new_call()))
            proxy.restore()
            first = switch.insist(switch.access(call=new_call()))

        assert first.accepted, "and not refused as an unknown account"
        assert daemon.stop() == 0


def test_nothing_is_left_behind_when_the_daemon_ends(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    file = change(daemon.url, MANY)
    assert eventually(lambda: all_have(daemon, file))
    (path,) = mapped(daemon.workers()[0])

    assert daemon.stop() == 0
    assert not Path(path).parent.parent.exists()
