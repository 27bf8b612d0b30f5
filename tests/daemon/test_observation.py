"""What people see of the daemon: metrics, health, and one line for each request."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from daemon_process import RADIUSD, Daemon, Settings, StartDaemon, eventually, sql, write_settings
from radius_switch import SECRET, START, STOP, Switch, new_call, raw

from radiusd.codec import encode
from radiusd.wire import Code

# Counted only where such things come in; other tests of the same daemon send some.
NOT_ALWAYS = {
    "radiusd_unknown_records_total",
    "radiusd_record_numbers_total",
    "radiusd_disconnects_total",
    "billing_held_amount",
}
METRICS = {
    # name, as in the description of the outward contract: labels
    "radiusd_requests_total": {"nas", "kind"},
    "radiusd_replies_total": {"nas", "code"},
    "radiusd_dropped_total": {"nas", "reason"},
    "radiusd_duplicates_total": {"nas", "level"},
    "radiusd_denials_total": {"nas", "reason"},
    "radiusd_reply_seconds_bucket": {"kind", "le"},
    "radiusd_turn_seconds_bucket": {"le"},
    "radiusd_turn_requests_bucket": {"le"},
    "billing_sessions": set(),
    "billing_reserved_amount": {"currency"},
    "billing_overdraft_amount": {"currency"},
    "billing_xdrs_total": {"leg", "state"},
    "billing_charged_amount_total": {"leg", "currency"},
    "billing_unbillable": set(),
    "billing_rate_misses_total": set(),
    "billing_catalogue_version": set(),
    "billing_mails_waiting": set(),
    "billing_mails_failed": set(),
    "radiusd_worker_restarts_total": set(),
}

NASTY = [
    # B-row, octets that somebody sends as a text, how they are kept
    ("B-101", b"%s%n{0.__class__}${jndi:x}", "%s%n{0.__class__}${jndi:x}"),
    ("B-102 CR LF", b'a\r\n{"event":"login ok"}', 'a\r\n{"event":"login ok"}'),
    ("B-102 ESC", b"a\x1b[2Jb\x07", "a\x1b[2Jb\x07"),
    ("B-102 line separators", "a\u2028b\u202ec".encode(), "a\u2028b\u202ec"),
    ("B-103 NUL", b"a\0b", "a\\x00b"),
    ("B-104 Latin-1", b"J\xfcrgen", "J\\xfcrgen"),
    ("B-104 a lone continuation", b"\x80", "\\x80"),
    ("B-105 a surrogate", b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ("B-100 a quote", b"'; DROP TABLE xdr; --", "'; DROP TABLE xdr; --"),
    ("B-107 253 octets", b"A" * 253, "A" * 253),
    ("B-107 wide", "\U0001f4a9".encode() * 63, "\U0001f4a9" * 63),
    ("B-108 array syntax", b'{"a",NULL,\\"}', '{"a",NULL,\\"}'),
]


def calls_of_every_kind(switch: Switch) -> None:
    """Let everything happen that is counted."""
    call = new_call()
    accept = switch.ask(switch.access(call=call))
    stop = switch.record(STOP, call, accept.classes, seconds=61)
    switch.ask(stop)
    switch.ask(stop)
    switch.ask(switch.access(user="nobody", call=new_call()))
    switch.send(b"x")
    switch.ask(switch.access(call=new_call()))
    switch.is_alive()


def test_every_metric_is_there_with_its_labels_and_no_others(daemon: Daemon) -> None:
    with daemon.switch() as switch:
        calls_of_every_kind(switch)
        values = daemon.settled_sample(switch).values
    seen: dict[str, set[str]] = {}
    for name, labels in values:
        seen.setdefault(name, set()).update(label for label, _ in labels)

    assert {name: seen.get(name) for name in METRICS} == METRICS
    known = {name.removesuffix("_bucket").removesuffix("_total") for name in METRICS}
    others = {
        name
        for name in seen
        if not any(name.removesuffix(end) in known for end in ("", "_bucket", "_sum", "_count", "_total"))
    }
    assert others <= NOT_ALWAYS


def test_what_a_sender_chose_is_never_a_label_b_111(daemon: Daemon) -> None:
    with daemon.switch() as switch:
        switch.ask(switch.access(encode("NAS-Identifier", "chosen-box"), user="chosen-user", call="chosen"))
        switch.ask(switch.record(STOP, "chosen", user="chosen-user", called="1chosen2", seconds=1))

    assert "chosen" not in daemon.get("/metrics")[1]


def test_gauges_show_what_is_under_way(daemon: Daemon) -> None:
    def sums() -> tuple[float, float]:
        [row] = sql(daemon.url, "SELECT count(*), sum(reserved) FROM session WHERE state <= 1")
        return float(row[0]), float(row[1])

    def shown() -> tuple[float, float]:
        sample = daemon.sample()
        return sample.sum("billing_sessions"), sample.sum("billing_reserved_amount", currency="USD")

    with daemon.switch() as switch:
        switch.ask(switch.access(user=daemon.client(credit="7"), call=new_call()))

    assert eventually(lambda: shown() == sums(), 15.0)
    assert shown()[1] >= 7


def test_health_is_told_over_http(daemon: Daemon) -> None:
    assert daemon.get("/healthz") == (200, "alive\n")
    status, said = daemon.get("/readyz")
    assert (status, json.loads(said)) == (200, {"ready": True, "reasons": []})
    assert daemon.get("/passwords")[0] == 404


def test_each_request_has_one_line_with_its_whole_story(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        accept = switch.ask(switch.access(user=client, call=call))
        switch.ask(switch.record(START, call, accept.classes, user=client))
        switch.ask(switch.record(STOP, call, accept.classes, user=client, seconds=61))
        refused = new_call()
        switch.ask(switch.access(user="poor", call=refused))
    [authorized] = daemon.logs("access_request", call_id=call)
    started, stopped = daemon.logs("accounting_request", call_id=call)
    [denied] = daemon.logs("access_request", call_id=refused)

    assert authorized["outcome"] == "authorized"
    assert (authorized["nas"], authorized["client"], authorized["user"]) == ("gw", client, client)
    assert (authorized["code"], authorized["credit_time_seconds"]) == ("44", 1000)
    assert (started["kind"], started["outcome"]) == ("start", "recorded")
    assert (stopped["kind"], stopped["state"], stopped["duration_seconds"]) == ("stop", "rated", 61)
    assert (denied["outcome"], denied["reason"], denied["reply"]) == ("denied", "no_money", "access_reject")


def test_no_secret_and_no_password_is_ever_logged(daemon: Daemon) -> None:
    password = "open-sesame-of-this-test"
    with daemon.switch() as switch:
        for chap in (False, True):
            switch.ask(switch.access(password=password, call=new_call(), chap=chap))
        switch.ask(switch.record(STOP, "logged", raw(2, password.encode()), seconds=1))
    daemon.logs("accounting_request", call_id="logged")

    assert password not in daemon.text()
    assert SECRET not in daemon.text()
    assert '"secret"' not in daemon.text()


def test_a_request_that_fails_is_logged_without_passwords(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    sql(
        daemon.url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'data_exception'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON session FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    daemon.billing.apply(
        '[[client]]\nname = "Poor"\ncredit = 1\n[[client.account]]\nname = "poor"\npassword = "hush-hush"\n'
    )
    with daemon.switch() as switch:
        assert switch.gets_no_answer(switch.access(user="poor", password="hush-hush", call=new_call()))
    [line] = daemon.logs("request_failed")

    assert "refused" in json.dumps(line)
    assert "hush-hush" not in daemon.text()
    assert SECRET not in daemon.text()


@pytest.mark.parametrize(("row", "octets", "kept"), NASTY, ids=[row for row, *_ in NASTY])
def test_text_that_is_meant_to_hurt_is_kept_escaped_and_stays_inside_its_line(
    daemon: Daemon, row: str, octets: bytes, kept: str
) -> None:
    lines_before = len(daemon.text().splitlines())
    call = new_call()
    told = [encode("User-Name", octets), encode("Calling-Station-Id", octets)]
    with daemon.switch() as switch:
        question = switch.access(*told, user=None, called=None, call=call)
        reject = switch.ask(question)
        number = encode("Called-Station-Id", octets), encode("Acct-Session-Id", octets)
        stop = encode("Acct-Status-Type", STOP), encode("Acct-Session-Time", 1)
        record = switch.ask(switch.accounting(*stop, *told, *number, encode("NAS-Identifier", octets[:60])))
        again = switch.ask(switch.accounting(*stop, *told, *number, encode("Acct-Delay-Time", 1)))
    [line] = daemon.logs("access_request", call_id=call)
    stored = sql(
        daemon.url, "SELECT calling, session_id FROM xdr WHERE session_id = %s AND calling = session_id", kept
    )

    assert reject.code is Code.ACCESS_REJECT
    assert (record.code, again.code) == (Code.ACCOUNTING_RESPONSE, Code.ACCOUNTING_RESPONSE)
    assert line["user"] == kept
    assert stored == [(kept, kept)]
    assert len(daemon.logs("accounting_request", session_id=kept, calling=kept)) == 2
    # A reader of lines sees as many lines as there were requests, and a terminal nothing that steers it.
    raw_lines = (daemon.directory / "stderr.txt").read_bytes().split(b"\n")
    assert len(raw_lines) - 1 - lines_before >= 3
    assert all(32 <= octet < 128 for one in raw_lines for octet in one)


def test_a_reader_of_the_log_who_stands_still_stops_nothing_r_38(fresh_url: str, tmp_path: Path) -> None:
    write_settings(tmp_path, Settings(fresh_url))
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [str(RADIUSD), "serve", "--config", str(tmp_path)], stdout=subprocess.PIPE, stderr=writing
    )
    os.close(writing)
    assert process.stdout is not None
    ready = process.stdout.readline().decode().replace(",", " ").replace("/", " ").split()
    with Switch(int(ready[3]), int(ready[6])) as switch:
        # Far more lines than a pipe holds.
        answers = [switch.ask(switch.access(call=new_call())) for _ in range(1000)]
        alive = switch.is_alive()
    process.terminate()
    code = process.wait(10)
    process.stdout.close()
    os.close(reading)

    assert all(answer.accepted for answer in answers)
    assert alive
    assert code == 0
