"""The database goes away, hangs, or is lost in the middle of a commit; nothing is charged twice or lost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemon_process import Daemon, Settings, StartDaemon, await_ready, eventually, launch, sql, write_settings
from fault_proxy import FaultProxy
from radius_switch import START, STOP, new_call

from radiusd.wire import Code

REJECTING = "127.0.0.7"


@pytest.fixture
def proxy(fresh_url: str) -> Iterator[FaultProxy]:
    """Give a line to a database of this test's own."""
    with FaultProxy(fresh_url) as line:
        yield line


@pytest.fixture
def behind(start_daemon: StartDaemon, proxy: FaultProxy, fresh_url: str) -> Daemon:
    """Give a daemon that reaches its database over the line, while `billing` goes straight."""
    daemon = start_daemon(url=proxy.url)
    directory = daemon.directory / "straight"
    directory.mkdir()
    (directory / "radiusd.toml").write_text(f'[database]\nurl = "{fresh_url}"\n', encoding="utf-8")
    daemon.billing.directory = directory
    return daemon


@contextmanager
def out_of_reach(daemon: Daemon, proxy: FaultProxy, how: str) -> Iterator[None]:
    """Cut or stall the line, wait until the daemon knows, and mend it afterwards."""
    getattr(proxy, how)()
    assert eventually(lambda: not daemon.is_ready())
    yield
    proxy.restore()
    assert eventually(daemon.is_ready)


@pytest.mark.parametrize("how", ["cut", "stall"])
def test_without_its_database_the_daemon_keeps_silent_or_rejects_and_acknowledges_nothing_b_054_r_17_r_18(
    behind: Daemon, proxy: FaultProxy, how: str
) -> None:
    client, call = behind.client(), new_call()
    with behind.switch() as switch, behind.switch(REJECTING) as rejecting:
        before = behind.sample()
        stop = switch.record(STOP, call, user=client, seconds=61)
        with out_of_reach(behind, proxy, how):
            assert switch.gets_no_answer(switch.access(user=client, call=new_call()))
            reject = rejecting.ask(rejecting.access(user=client, call=new_call()), seconds=10)
            assert switch.gets_no_answer(stop)
            assert rejecting.gets_no_answer(rejecting.record(START, new_call(), user=client))
            # P-121: silence is what makes a switch use its other server.
            assert switch.gets_no_answer(switch.status(), behind.auth_port)
            assert switch.gets_no_answer(switch.status(), behind.acct_port)
            assert behind.get("/healthz")[0] == 200
        answer = switch.insist(stop)
        accept = switch.insist(switch.access(user=client, call=new_call()))
        after = behind.sample()

    assert reject.code is Code.ACCESS_REJECT
    assert reject.return_code == "8"
    assert answer.code is Code.ACCOUNTING_RESPONSE
    assert accept.accepted
    assert behind.billing.money(client) == ("-0.61", "9.39", 1)
    assert behind.billing.is_sound()
    assert behind.logs("database_down")

    def dropped(reason: str) -> float:
        sums = [sample.sum("radiusd_dropped_total", reason=reason) for sample in (before, after)]
        return sums[1] - sums[0]

    # After a stall the pings may still wait in the socket when the database is back: then they are answered.
    assert dropped("backend_down") >= {"cut": 3, "stall": 1}[how]
    assert dropped("not_recorded") >= 2
    assert after.sum("radiusd_denials_total", nas="rejecting", reason="failure") == 1
    assert after.sum("radiusd_worker_restarts_total") == 0


def test_a_flood_without_a_database_takes_no_memory_and_all_is_well_when_it_is_back_r_21(
    behind: Daemon, proxy: FaultProxy
) -> None:
    [worker] = behind.workers()
    client = behind.client()
    with behind.switch() as crowd, behind.switch() as switch:
        record = switch.record(STOP, new_call(), user=client, seconds=61)
        proxy.cut()
        assert eventually(lambda: not behind.is_ready())
        before = resident_octets(worker)
        for _ in range(3000):
            crowd.send(crowd.access(call=new_call()))
            switch.send(record)
        grown = resident_octets(worker) - before
        proxy.restore()

        def is_ready_though_it_is_never_idle() -> bool:
            for _ in range(100):
                crowd.send(crowd.access(call=new_call()))
            return behind.is_ready()

        assert eventually(is_ready_though_it_is_never_idle)
        assert switch.insist(record).code is Code.ACCOUNTING_RESPONSE

    # What waits for its turn is bounded, too: 8,192 questions and 16,384 records of some 700 octets.
    assert grown < 16 * 1024 * 1024
    assert behind.workers() == [worker]
    assert behind.billing.money(client) == ("-0.61", "0", 0)


def resident_octets(pid: int) -> int:
    """Return how much memory a process takes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def test_a_connection_lost_during_commit_has_one_effect_r_19(behind: Daemon, proxy: FaultProxy) -> None:
    client, calls = behind.client(credit="30"), [new_call() for _ in range(3)]
    with behind.switch() as switch:
        proxy.swallow_commits(1)
        for call in calls:
            stop = switch.record(STOP, call, user=client, seconds=61)
            assert switch.insist(stop).code is Code.ACCOUNTING_RESPONSE
        proxy.swallow_commits(1)
        accept = switch.insist(switch.access(user=client, call=new_call()))

    assert proxy.swallowed >= 2
    assert accept.accepted
    assert behind.billing.money(client) == ("-1.83", "28.17", 1)
    assert behind.billing.is_sound()


def test_a_daemon_that_starts_before_its_database_waits_for_it_r_16(
    proxy: FaultProxy, fresh_url: str, tmp_path: Path
) -> None:
    write_settings(tmp_path, Settings(proxy.url))
    proxy.cut()
    process = launch(tmp_path)
    waited = eventually(lambda: "database_down" in (tmp_path / "stderr.txt").read_text(encoding="utf-8"))
    still_there = process.poll() is None
    proxy.restore()
    await_ready(process, tmp_path)
    process.terminate()
    code = process.wait(10)
    assert process.stdout is not None
    process.stdout.close()

    assert (waited, still_there, code) == (True, True, 0)


POISON = """
    CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.calling = '666' THEN RAISE EXCEPTION 'poison' USING ERRCODE = 'data_exception'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER poison BEFORE INSERT ON session FOR EACH ROW EXECUTE FUNCTION poison()"""


def test_a_record_that_the_database_refuses_harms_only_itself_r_37(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    sql(daemon.url, POISON)
    client = daemon.client(credit="100")
    with daemon.switch() as switch:
        before = daemon.sample()
        records = [
            switch.record(STOP, new_call(), b"\x1f\x05666" * (number == 25), user=client, seconds=61)
            for number in range(50)
        ]
        for record in records:
            switch.send(record)
        answers = switch.answers(records, 2.0)
        after = daemon.sample()

    assert [number for number, record in enumerate(records) if record not in answers] == [25]
    assert daemon.billing.money(client) == ("-29.89", "0", 0)
    assert daemon.logs("request_failed")
    grown = [
        sample.sum("radiusd_dropped_total", nas="gw", reason="not_recorded") for sample in (before, after)
    ]
    assert grown[1] - grown[0] >= 1
    assert daemon.is_ready()
