"""Ports of one softswitch alone: nobody else is served there, and no flood elsewhere keeps it waiting."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from daemon_process import Daemon, StartDaemon, eventually
from daemon_world import nas
from radius_switch import START, Switch, new_call

OWNER, CROWD = "127.0.0.21", "127.0.0.22"
QUESTIONS = 200
FLOOD = """
import socket, sys
packets = [bytes.fromhex(line) for line in sys.stdin]
crowd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
crowd.bind((sys.argv[1], 0))
crowd.connect(("127.0.0.1", int(sys.argv[2])))
print("ready", flush=True)
while True:
    for packet in packets:
        try:
            crowd.send(packet)
        except OSError:
            pass
"""


@pytest.fixture
def own() -> tuple[int, int]:
    """Give two ports that nobody has."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def shared_and_own(start_daemon: StartDaemon, own: tuple[int, int]) -> Daemon:
    """Give a daemon with one switch that has ports of its own, and another that has not."""
    ports = f"auth_port = {own[0]}\nacct_port = {own[1]}"
    daemon: Daemon = start_daemon(nas=nas("owner", OWNER, ports) + nas("crowd", CROWD))
    return daemon


def test_the_owner_is_served_at_its_own_ports_and_at_the_shared_ones(
    shared_and_own: Daemon, own: tuple[int, int]
) -> None:
    daemon = shared_and_own
    for ports in (own, (daemon.auth_port, daemon.acct_port)):
        client = daemon.client()
        with Switch(*ports, address=OWNER) as switch:
            assert switch.ask(switch.access(user=client, call=new_call())).accepted
            assert switch.ask(switch.record(START, new_call(), user=client))
            assert switch.is_alive()


def test_nobody_else_is_served_at_the_ports_of_the_owner(
    shared_and_own: Daemon, own: tuple[int, int]
) -> None:
    daemon = shared_and_own
    with Switch(*own, address=CROWD) as other:
        assert other.gets_no_answer(other.access(user=daemon.client(), call=new_call()))

    assert eventually(
        lambda: daemon.sample().sum("radiusd_dropped_total", nas="unknown", reason="unknown_client") == 1
    )


def test_a_reload_that_would_change_ports_is_refused_with_the_cure(shared_and_own: Daemon) -> None:
    daemon = shared_and_own
    daemon.configure(daemon.settings.text().replace("auth_port = ", "# ").replace("# 0", "auth_port = 0"))
    daemon.signal(signal.SIGHUP)

    [line] = daemon.logs("reload_refused")
    assert line["faults"] == [
        "nas.auth_port and nas.acct_port take a restart: ports are opened at the start only"
    ]


@contextmanager
def flood(daemon: Daemon) -> Iterator[None]:
    """Let another switch send genuine questions to the shared port as fast as this machine can."""
    with daemon.switch(CROWD) as crowd:
        packets = [crowd.access(user="nobody", call=new_call()).hex() for _ in range(2000)]
    sending = subprocess.Popen(
        [sys.executable, "-c", FLOOD, CROWD, str(daemon.auth_port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sending.stdin is not None
    assert sending.stdout is not None
    try:
        sending.stdin.write("\n".join(packets))
        sending.stdin.close()
        assert sending.stdout.readline() == "ready\n"
        yield
    finally:
        sending.kill()
        sending.wait()
        sending.stdout.close()


def test_the_owner_loses_no_question_while_another_floods(
    shared_and_own: Daemon, own: tuple[int, int]
) -> None:
    daemon = shared_and_own
    client = daemon.client(credit="100000")
    with Switch(*own, address=OWNER) as switch, flood(daemon):
        assert eventually(lambda: daemon.sample().sum("radiusd_requests_total", nas="crowd") > 500)
        lost = 0
        for _ in range(QUESTIONS):
            question = switch.access(user=client, call=new_call())
            switch.send(question)
            lost += switch.answer(question, 2.0) is None

    assert lost == 0
