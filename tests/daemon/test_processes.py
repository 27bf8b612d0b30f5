"""Signals, dying workers and a dying supervisor: service goes on, and no acknowledged record is lost."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon_process import Daemon, StartDaemon, eventually, is_running, locked_balance
from daemon_world import nas
from radius_switch import START, STOP, new_call

KILLS = 20
TWO_WORKERS = 'listen = ["127.0.0.1"]\nworkers = 2'
NEW = "127.0.0.50"


class Caller(threading.Thread):
    """A switch that calls and calls, and remembers which Stops were acknowledged; it never gives up one."""

    def __init__(self, daemon: Daemon, client: str, *, insists: bool) -> None:
        super().__init__()
        self._daemon = daemon
        self._client = client
        self._insists = insists
        self._ends = threading.Event()
        self.acknowledged: list[str] = []
        self.failure: BaseException | None = None
        self.start()

    def finish(self) -> None:
        """Let the call under way end, and tell what went wrong."""
        self._ends.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        try:
            with self._daemon.switch() as switch:
                while not self._ends.is_set():
                    call = new_call()
                    if self._insists:
                        accept = switch.insist(switch.access(user=self._client, call=call))
                        switch.insist(switch.record(START, call, accept.classes, user=self._client))
                        switch.insist(switch.record(STOP, call, accept.classes, user=self._client, seconds=1))
                        self.acknowledged.append(call)
                    else:
                        stop = switch.record(STOP, call, user=self._client, seconds=1)
                        switch.send(stop)
                        if switch.answer(stop, 0.5):
                            self.acknowledged.append(call)
        except (AssertionError, OSError) as error:
            self.failure = error


@contextmanager
def calling(daemon: Daemon, clients: list[str], *, insists: bool) -> Iterator[list[Caller]]:
    """Keep a switch calling for each client."""
    callers = [Caller(daemon, client, insists=insists) for client in clients]
    try:
        yield callers
    finally:
        for caller in callers:
            caller.finish()


def charged(daemon: Daemon, client: str) -> list[str]:
    """Return the call ids of a client's finished legs, one for each revision that was posted."""
    return sorted(xdr["call_id"] for xdr in daemon.billing("xdrs", "--client", client))


def test_a_daemon_under_load_ends_in_order_and_loses_no_acknowledged_record_r_39(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon(radius=TWO_WORKERS)
    clients = [daemon.client(credit="1000") for _ in range(4)]
    with calling(daemon, clients, insists=False) as callers:
        assert eventually(lambda: all(len(caller.acknowledged) > 20 for caller in callers))
        workers = daemon.workers()
        began = time.monotonic()
        code = daemon.stop()
        took = time.monotonic() - began

    assert code == 0
    assert took < 5
    assert not any(map(is_running, workers))
    assert daemon.lines("stopped")
    assert not daemon.lines("worker_killed")
    for client, caller in zip(clients, callers, strict=True):
        assert set(caller.acknowledged) <= set(charged(daemon, client))
    assert daemon.billing.is_sound()


def test_a_reload_takes_over_new_switches_and_limits_r_39(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(radius=TWO_WORKERS)
    with daemon.switch(NEW) as new, daemon.switch() as old:
        assert new.gets_no_answer(new.access(call=new_call()))
        text = daemon.settings.text().replace("sweep_seconds = 1", "max_call_seconds = 100")
        daemon.configure(text + nas("new", NEW))
        daemon.signal(signal.SIGHUP)
        assert eventually(lambda: len(daemon.lines("reloaded")) == 2)
        answers = [switch.ask(switch.access(call=new_call())) for switch in (new, old)]

    assert [answer.seconds for answer in answers] == [100, 100]


def test_a_faulty_reload_is_refused_wholly_b_128(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with daemon.switch(NEW) as new, daemon.switch() as old:
        faulty = daemon.settings.text().replace("sweep_seconds = 1", "max_call_secnods = 100") + nas(
            "new", NEW
        )
        daemon.configure(faulty)
        daemon.signal(signal.SIGHUP)
        [line] = daemon.logs("reload_refused")
        accept = old.ask(old.access(call=new_call()))

        assert new.gets_no_answer(new.access(call=new_call()))
    assert accept.seconds == 7200
    [fault] = line["faults"]
    number = faulty[: faulty.index("max_call_secnods")].count("\n") + 1
    assert f"radiusd.toml:{number}: limits.max_call_secnods" in fault
    assert daemon.is_ready()


def test_a_worker_that_dies_is_replaced_and_what_was_sent_meanwhile_is_answered_r_40(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon(nas=nas("gw", "127.0.0.1", "patience_seconds = 30"))
    [worker] = daemon.workers()
    with daemon.switch() as switch:
        os.kill(worker, signal.SIGKILL)
        questions = [switch.access(call=new_call()) for _ in range(20)]
        for question in questions:
            switch.send(question)
        answers = switch.answers(questions, 10.0)

    assert len(answers) == 20
    assert eventually(daemon.is_ready)
    assert daemon.workers() != [worker]
    assert daemon.sample().sum("radiusd_worker_restarts_total") == 1
    assert [line["pid"] for line in daemon.lines("worker_died")] == [worker]


def test_counters_outlive_the_workers_that_counted_and_no_files_pile_up(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    counted, files = [], []
    with daemon.switch() as switch:
        for _ in range(4):
            switch.insist(switch.access(call=new_call()))
            assert eventually(daemon.is_ready)
            counted.append(daemon.settled_sample(switch).sum("radiusd_turn_requests_sum"))
            [worker] = daemon.workers()
            environment = Path(f"/proc/{worker}/environ").read_text().split("\0")
            [folder] = [text for text in environment if text.startswith("PROMETHEUS_MULTIPROC_DIR=")]
            files.append(sorted(os.listdir(folder.partition("=")[2])))
            os.kill(worker, signal.SIGKILL)
            assert eventually(lambda killed=worker: killed not in daemon.workers() and daemon.is_ready())

    assert counted == [1, 2, 3, 4]
    assert files == [files[0]] * 4


def test_a_retransmission_to_a_worker_that_was_replaced_has_one_effect_p_067(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon()
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        stop = switch.record(STOP, call, user=client, seconds=61)
        switch.ask(stop)
        os.kill(daemon.workers()[0], signal.SIGKILL)
        switch.insist(stop)

    assert daemon.billing.money(client) == ("-0.61", "0", 0)


def test_a_record_is_acknowledged_only_when_it_is_committed_r_10(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch, locked_balance(daemon.url, client):
        stop = switch.record(STOP, call, user=client, seconds=61)

        # The turn waits for the balance, less than the second after which it would give up.
        assert switch.gets_no_answer(stop, seconds=0.5)
        os.kill(daemon.workers()[0], signal.SIGKILL)
    assert daemon.billing.money(client) == ("0", "0", 0)
    with daemon.switch() as switch:
        switch.insist(switch.record(STOP, call, user=client, seconds=61))
    assert daemon.billing.money(client) == ("-0.61", "0", 0)


def test_a_killed_daemon_takes_its_workers_along_r_10(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(radius=TWO_WORKERS)
    workers = daemon.workers()
    daemon.process.kill()
    daemon.process.wait()

    assert len(workers) == 2
    assert eventually(lambda: not any(map(is_running, workers)), 2.0)


def test_whoever_dies_when_each_acknowledged_stop_is_charged_exactly_once_r_10_r_11(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon(radius=TWO_WORKERS)
    clients = [daemon.client(credit="1000") for _ in range(3)]
    with calling(daemon, clients, insists=True) as callers:
        for _ in range(KILLS):
            time.sleep(random.uniform(0.02, 0.5))
            victims = daemon.workers()
            if victims:
                os.kill(random.choice(victims), signal.SIGKILL)
        assert eventually(daemon.is_ready, 20.0)

    for client, caller in zip(clients, callers, strict=True):
        assert caller.acknowledged
        assert charged(daemon, client) == sorted(caller.acknowledged)
        live, reserved, in_use = daemon.billing.money(client)
        assert float(live) == -round(0.01 * len(caller.acknowledged), 2)
        assert (reserved, in_use) == ("0", 0)
    assert daemon.sample().sum("radiusd_worker_restarts_total") >= 1
    assert daemon.billing.is_sound()
