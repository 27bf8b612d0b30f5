"""More is asked than can be decided: what is too old is dropped unread, records never are, and it passes.

A worker that is halted for a while finds afterwards what a worker finds that can't keep up.
"""

import time
from collections.abc import Sequence

import pytest
from daemon_process import Daemon, StartDaemon, halted
from daemon_world import nas
from radius_switch import START, STOP, Switch, new_call

PATIENT, HASTY, CROWD = "127.0.0.41", "127.0.0.42", "127.0.0.43"
HALT_SECONDS = 1.2
BATCH_MAX = 8


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    """Give a daemon of short turns with a patient switch, a hasty one, and one that sends too much."""
    patience = "patience_seconds = {}".format
    nases = (
        nas("gw", "127.0.0.1"),
        nas("patient", PATIENT, patience(30)),
        nas("hasty", HASTY, patience(0.5)),
        nas("crowd", CROWD, patience(30)),
    )
    started: Daemon = start_daemon(
        radius=f'listen = ["127.0.0.1"]\nbatch_max = {BATCH_MAX}', nas="".join(nases)
    )
    return started


def questions(switch: Switch, client: str, many: int) -> list[bytes]:
    return [switch.access(user=client, call=new_call()) for _ in range(many)]


def send(switch: Switch, packets: Sequence[bytes], port: int) -> None:
    for packet in packets:
        switch.send(packet, port)


def test_a_question_older_than_its_switchs_patience_is_dropped_unread(daemon: Daemon) -> None:
    [worker], client = daemon.workers(), daemon.client("1000")
    with daemon.change() as change, daemon.switch(HASTY) as hasty, daemon.switch(PATIENT) as patient:
        late, waited = questions(hasty, client, 3), questions(patient, client, 3)
        with halted(worker):
            send(hasty, late, daemon.auth_port)
            send(patient, waited, daemon.auth_port)
            time.sleep(HALT_SECONDS)
        assert len(patient.answers(waited)) == 3
        assert hasty.answers(late, 0.5) == {}
        assert hasty.ask(questions(hasty, client, 1)[0]).accepted

    assert change.by("radiusd_dropped_total", nas="hasty", reason="stale") == 3
    assert change.by("radiusd_dropped_total", nas="patient") == 0
    assert change.by("radiusd_requests_total", nas="hasty") == 1
    [line] = daemon.lines("dropped", nas="hasty", reason="stale")
    assert "patience_seconds" in line["advice"]


def test_a_record_is_never_too_old(daemon: Daemon) -> None:
    [worker], client, call = daemon.workers(), daemon.client("1000"), new_call()
    with daemon.switch(HASTY) as hasty:
        records = [
            hasty.record(START, call, user=client),
            hasty.record(STOP, call, user=client, seconds=60),
        ]
        with halted(worker):
            send(hasty, records, daemon.acct_port)
            time.sleep(HALT_SECONDS)
        assert len(hasty.answers(records)) == 2

    [xdr] = daemon.billing.xdrs(call)
    assert xdr["duration_seconds"] == 60


def test_a_question_that_was_repeated_meanwhile_is_decided_once(daemon: Daemon) -> None:
    [worker], client = daemon.workers(), daemon.client("1000")
    with daemon.change() as change, daemon.switch(PATIENT) as patient:
        [asked] = questions(patient, client, 1)
        with halted(worker):
            send(patient, [asked] * 4, daemon.auth_port)
            time.sleep(0.2)
        assert patient.answer(asked) is not None
        assert patient.receive(0.3) is None

    assert change.by("radiusd_requests_total", nas="patient") == 1
    assert change.by("radiusd_dropped_total", nas="patient", reason="duplicate_inflight") == 3


def test_what_the_kernel_had_no_room_for_is_counted(daemon: Daemon) -> None:
    [worker], client, many = daemon.workers(), daemon.client("1000"), 40_000
    with daemon.change() as change, daemon.switch(CROWD) as crowd:
        [packet] = questions(crowd, client, 1)
        with halted(worker):
            for number in range(many):
                crowd.socket.sendto(packet + number.to_bytes(4), ("127.0.0.1", daemon.auth_port))
        # The kernel tells with the next packet that it takes.
        assert crowd.insist(crowd.status())

    lost = change.by("radiusd_dropped_total", nas="unknown", reason="kernel_full")
    too_much = change.by("radiusd_dropped_total", nas="crowd", reason="overload")
    assert 0 < lost < many
    assert too_much > 0


def test_while_one_switch_asks_too_much_stops_pings_and_others_come_first(daemon: Daemon) -> None:
    [worker], client, call = daemon.workers(), daemon.client("1000"), new_call()
    with daemon.change() as change, daemon.switch(CROWD) as crowd, daemon.switch(PATIENT) as other:
        assert other.ask(other.access(user=client, call=call)).accepted
        too_much = questions(crowd, client, 20 * BATCH_MAX)
        [asked], ended = questions(other, client, 1), other.record(STOP, call, user=client, seconds=5)
        ping = crowd.status()
        with halted(worker):
            send(crowd, [*too_much, ping], daemon.auth_port)
            send(other, [asked], daemon.auth_port)
            send(other, [ended], daemon.acct_port)
        assert set(other.answers([asked, ended])) == {asked, ended}
        answered = crowd.answers([*too_much, ping])

    assert set(answered) == {*too_much, ping}
    assert next(iter(answered)) == ping
    assert change.by("radiusd_dropped_total") == 0
    daemon.logs("accounting_request", nas="patient")
    requests = ("access_request", "accounting_request")
    served = [line["nas"] for line in daemon.lines() if line["event"] in requests]
    # The first is the call that was authorized before; and a turn may have begun before the worker halted.
    assert served[1 : 1 + 2 * BATCH_MAX].count("patient") == 2
