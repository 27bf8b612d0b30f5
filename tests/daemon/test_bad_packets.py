"""What must never get an answer, stop the daemon or fill its log: rows B-001 to B-029 of the catalogue."""

import hmac
import secrets
from typing import NamedTuple

import pytest
from daemon_process import Daemon, StartDaemon, halted
from daemon_world import OTHER_SECRET, STRANGER
from radius_switch import SECRET, STOP, Switch, new_call, packet, raw
from structlog.testing import capture_logs

from radiusd import wire
from radiusd.codec import encode
from radiusd.rare_lines import RareLines
from radiusd.wire import MESSAGE_AUTHENTICATOR, Code, DropReason, Port

AUTH, ACCT = Port.AUTHENTICATION, Port.ACCOUNTING
GOOD = raw(1, b"alice")


class Row(NamedTuple):
    """Octets, where they are sent, and the reason for which they are dropped."""

    name: str
    octets: bytes
    port: Port
    reason: DropReason


DROPPED = [
    Row("B-001 nothing", b"", AUTH, DropReason.SHORT),
    Row("B-001 one octet", b"\1", AUTH, DropReason.SHORT),
    Row("B-001 one octet too few", packet(4)[:19], ACCT, DropReason.SHORT),
    Row("B-002 Length 0", packet(1, length=0), AUTH, DropReason.LENGTH_FIELD),
    Row("B-002 Length 1", packet(1, length=1), AUTH, DropReason.LENGTH_FIELD),
    Row("B-002 Length 19", packet(4, length=19), ACCT, DropReason.LENGTH_FIELD),
    Row("B-002 Length 65535 of 20", packet(1, length=65_535), AUTH, DropReason.LENGTH_FIELD),
    Row("B-002 Length 100 of 20", packet(1, length=100), AUTH, DropReason.TRUNCATED),
    Row("B-003 4097 octets", packet(1, raw(200, bytes(250)) * 16 + bytes(45)), AUTH, DropReason.LENGTH_FIELD),
    Row("B-003 8192 octets", packet(4, bytes(8172)), ACCT, DropReason.LENGTH_FIELD),
    Row("B-005 a stray octet", packet(1, GOOD + b"\1"), AUTH, DropReason.ATTR_HEADER),
    Row("B-006 length 0 first", packet(1, b"\1\0" + GOOD), AUTH, DropReason.ATTR_LENGTH),
    Row("B-006 length 0 last", packet(1, GOOD + b"\1\0"), AUTH, DropReason.ATTR_LENGTH),
    Row("B-006 length 1 between", packet(4, GOOD + b"\1\1" + GOOD), ACCT, DropReason.ATTR_LENGTH),
    Row("B-006 length 0 of a ping", packet(12, b"\x50\0"), AUTH, DropReason.ATTR_LENGTH),
    Row("B-006 length 0 to Disconnect", packet(40, b"\1\0"), AUTH, DropReason.WRONG_PORT_CODE),
    Row("B-007 past the end", packet(1, GOOD + b"\1\7abcd"), AUTH, DropReason.ATTR_OVERFLOW),
    Row("B-007 255 of 2", packet(4, b"\1\xff"), ACCT, DropReason.ATTR_OVERFLOW),
    Row("B-008 type 0", packet(1, raw(0, b"x")), AUTH, DropReason.ATTR_ZERO),
    Row("B-009 2038 attributes", packet(1, b"\1\2" * 2038), AUTH, DropReason.TOO_MANY_ATTRS),
    Row("B-009 201 attributes", packet(1, b"\1\2" * 201), AUTH, DropReason.TOO_MANY_ATTRS),
    *(
        Row(f"B-010 code {code}", packet(code), AUTH, DropReason.UNKNOWN_CODE)
        for code in (0, 6, 10, 13, 26, 53, 255)
    ),
    *(Row(f"B-010 reply {code}", packet(code), AUTH, DropReason.WRONG_PORT_CODE) for code in (2, 3, 5, 11)),
    Row("B-011 a reply to accounting", packet(5), ACCT, DropReason.WRONG_PORT_CODE),
    Row("P-017 a record to authentication", packet(4), AUTH, DropReason.WRONG_PORT_CODE),
    Row("P-017 a question to accounting", packet(1), ACCT, DropReason.WRONG_PORT_CODE),
    Row("B-015 MA of 2", packet(1, raw(80, b"")), AUTH, DropReason.MA_LENGTH),
    Row("B-015 MA of 17", packet(1, raw(80, bytes(15))), AUTH, DropReason.MA_LENGTH),
    Row("B-015 MA of 19", packet(4, raw(80, bytes(17))), ACCT, DropReason.MA_LENGTH),
    Row("B-015 two MAs", packet(1, raw(80, bytes(16)) * 2), AUTH, DropReason.MA_DUPLICATE),
    Row("B-017 MA wrong", packet(1, GOOD + raw(80, bytes(16))), AUTH, DropReason.BAD_MA),
    Row("B-018 MA missing", packet(1, GOOD), AUTH, DropReason.MA_MISSING),
    Row("B-020 EAP without MA", packet(1, raw(79, b"x")), AUTH, DropReason.MA_MISSING),
    Row("B-020 EAP and a password", packet(1, raw(79, b"x") + raw(2, bytes(16))), AUTH, DropReason.EAP_MIXED),
    Row("B-021 authenticator of zeros", b"\4\7\0\x14" + bytes(16), ACCT, DropReason.BAD_AUTHENTICATOR),
    Row("B-021 another authenticator", packet(4, GOOD), ACCT, DropReason.BAD_AUTHENTICATOR),
    Row("B-027 a ping without MA", packet(12), AUTH, DropReason.MA_MISSING),
    Row("B-027 a ping with a wrong MA", packet(12, raw(80, bytes(16))), ACCT, DropReason.BAD_MA),
    Row("B-028 Disconnect-Request", packet(40, GOOD), AUTH, DropReason.WRONG_PORT_CODE),
    Row("B-028 CoA-Request", packet(43, GOOD), ACCT, DropReason.WRONG_PORT_CODE),
]

IGNORED = [
    # An attribute that makes no sense, in a packet that is served all the same.
    ("B-012 vendor data of nothing", raw(26, b"")),
    ("B-012 vendor data of 4", raw(26, b"\0\0\0\x09")),
    ("B-012 inner length 0", raw(26, b"\0\0\0\x09\1\0")),
    ("B-012 inner length 1", raw(26, b"\0\0\0\x09\1\1")),
    ("B-012 inner length 255", raw(26, b"\0\0\0\x09\1\xffx")),
    ("B-012 not filled", raw(26, b"\0\0\0\x09\1\3xy")),
    ("B-012 40 inside each other", raw(26, b"\0\0\0\x09" + b"\1\4ab" * 40)),
    ("B-013 four-octet types", raw(26, b"\0\0\1\xad\0\0\0\1x")),
    ("B-013 continued for ever", raw(26, b"\0\0\x60\xb5\1\4\x80x")),
    ("B-014 vendor beyond all numbers", raw(26, b"\xff\0\0\x09\1\3x")),
    ("B-014 vendor 0", raw(26, b"\0\0\0\0\1\3x")),
    ("B-016 tagged text of nothing", raw(69, b"") + raw(69, b"\1") + raw(69, b"\1\2")),
    ("P-013 an address of 3 octets", raw(4, b"abc")),
    ("P-013 a number of 3 octets", raw(6, b"abc")),
    ("P-011 an empty name", raw(32, b"")),
    ("P-019 extended types", raw(241, b"\1x") + raw(245, b"\1\x80x") + raw(246, b"")),
    ("P-012 an unknown attribute", raw(222, b"x")),
    ("B-050 pairs without sense", raw(26, b"\0\0\0\x09\1\5abc" + b"\1\5===" + b"\1\4a=")),
]


def port_of(switch: Switch, port: Port) -> int:
    return switch.ports[Code.ACCESS_REQUEST if port is AUTH else Code.ACCOUNTING_REQUEST]


@pytest.mark.parametrize("row", DROPPED, ids=[row.name for row in DROPPED])
def test_a_bad_packet_is_dropped_for_its_reason_and_nothing_else_happens(daemon: Daemon, row: Row) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        switch.send(row.octets, port_of(switch, row.port))

        assert switch.receive(0.05) is None
    assert change.by("radiusd_dropped_total", nas="gw", reason=row.reason.value) == 1
    assert change.by("radiusd_dropped_total") == 1
    assert change.by("radiusd_requests_total", kind="access") == 0
    assert change.by("radiusd_requests_total", kind="accounting") == 0


@pytest.mark.parametrize(("name", "attribute"), IGNORED, ids=[name for name, _ in IGNORED])
def test_an_attribute_without_sense_harms_nothing_but_itself(
    daemon: Daemon, name: str, attribute: bytes
) -> None:
    with daemon.switch() as switch:
        call = new_call()
        accept = switch.ask(switch.access(attribute, call=call))
        record = switch.ask(switch.record(STOP, call, attribute, seconds=1))

    assert accept.accepted
    assert record.code is Code.ACCOUNTING_RESPONSE
    assert [xdr["duration_seconds"] for xdr in daemon.billing.xdrs(call)] == [1]


@pytest.mark.parametrize("padding", [1, 500, 4000])
def test_padding_behind_a_packet_is_no_part_of_it_b_004_b_017(daemon: Daemon, padding: int) -> None:
    with daemon.switch() as switch:
        question = switch.access(call=new_call())
        accept = switch.ask(question + b"\xff" * padding)
        record = switch.ask(switch.record(STOP, new_call(), seconds=1) + b"\xff" * padding)

    assert accept.accepted
    assert record.code is Code.ACCOUNTING_RESPONSE


def test_200_attributes_are_served_and_not_one_more_b_009(daemon: Daemon) -> None:
    with daemon.switch() as switch:
        # Message-Authenticator, name, password, number, call and session are six already.
        fill = raw(222, b"x") * 194
        accept = switch.ask(switch.access(fill, call=new_call()))

        assert accept.accepted
        assert switch.gets_no_answer(switch.access(fill, raw(222, b"x"), call=new_call()))


def test_the_largest_packet_is_served_though_the_network_cuts_it_b_026(daemon: Daemon) -> None:
    with daemon.switch() as switch:
        rest = 4096 - len(switch.access(call="c" * 32)) - 15 * 255
        fill = raw(222, bytes(253)) * 15 + raw(223, bytes(rest - 2))
        question = switch.access(fill, call="c" * 32)
        accept = switch.ask(question)

    assert len(question) == 4096
    assert accept.accepted


def test_a_record_signed_with_another_switchs_secret_is_dropped_b_021(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch(secret=OTHER_SECRET) as switch:
        assert switch.gets_no_answer(switch.record(STOP, new_call(), seconds=1))
    assert change.by("radiusd_dropped_total", nas="gw", reason="bad_authenticator") == 1


@pytest.mark.parametrize("place", [0, 1, 3, 4, 19, 25, -1])
def test_a_record_of_which_one_octet_was_changed_is_dropped_p_040(daemon: Daemon, place: int) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        changed = bytearray(switch.record(STOP, new_call(), seconds=1))
        changed[place] ^= 0x40

        assert switch.gets_no_answer(bytes(changed), switch.ports[Code.ACCOUNTING_REQUEST], 0.1)
    assert change.by("radiusd_dropped_total", nas="gw") == 1


def test_a_message_authenticator_in_a_record_is_verified_p_042(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        parts = encode("Acct-Status-Type", STOP) + encode("Acct-Session-Id", new_call())
        signed = wire.request(Code.ACCOUNTING_REQUEST, 1, parts, SECRET.encode(), message_authenticator=True)
        unsigned = wire.request(
            Code.ACCOUNTING_REQUEST, 2, parts + raw(MESSAGE_AUTHENTICATOR, bytes(16)), SECRET.encode()
        )
        answered = switch.ask(signed)

        assert answered.code is Code.ACCOUNTING_RESPONSE
        assert switch.gets_no_answer(unsigned)
    assert change.by("radiusd_dropped_total", nas="gw", reason="bad_ma") == 1


def test_a_message_authenticator_may_stand_last_p_052(daemon: Daemon) -> None:
    with daemon.switch() as switch:
        bare = switch.access(call=new_call(), signed=False)
        head = bare[:2] + (len(bare) + 18).to_bytes(2)
        unsealed = head + bare[4:] + bytes((MESSAGE_AUTHENTICATOR, 18)) + bytes(16)
        sealed = unsealed[:-16] + hmac.digest(SECRET.encode(), unsealed, "md5")
        accept = switch.ask(sealed)

    assert accept.accepted


def test_a_flood_of_strangers_is_counted_and_told_in_one_line_b_022_p_031(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch(STRANGER) as stranger, daemon.switch() as switch:
        question = stranger.access(call=new_call())
        for _ in range(2000):
            stranger.send(question)
            stranger.send(b"nonsense")
        accept = switch.ask(switch.access(call=new_call()))

        assert stranger.receive(0.1) is None
    assert accept.accepted
    # What the kernel had no room for never came.
    assert 0 < change.by("radiusd_dropped_total", nas="unknown", reason="unknown_client") <= 4000
    assert change.by("radiusd_requests_total", kind="access") == 1
    [line] = [line for line in daemon.logs("stranger") if line["source"] == STRANGER]
    assert (line["level"], line["port"]) == ("warning", daemon.auth_port)
    assert line["count"] >= 1
    assert f'address = "{STRANGER}"' in line["advice"]
    assert STRANGER not in daemon.get("/metrics")[1]


def test_neither_nonsense_nor_questions_keep_a_turn_from_ending(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(radius='listen = ["127.0.0.1"]\nbatch_max = 10')
    [worker] = daemon.workers()
    with daemon.switch() as switch, daemon.switch("127.0.0.4") as liar:
        before = daemon.settled_sample(switch)
        first, last = switch.access(call=new_call()), switch.access(call=new_call())
        with halted(worker):
            switch.send(first)
            for _ in range(50):
                liar.send(b"nonsense")
            switch.send(last)
        answers = switch.answers([first, last])
        after = daemon.settled_sample(switch)
    turns = [sample.sum("radiusd_turn_requests_count") for sample in (before, after)]

    assert len(answers) == 2
    # Whoever sends it uses up its own share of a turn.
    assert turns[1] - turns[0] == 1


def test_a_crowd_of_questions_does_not_keep_a_record_waiting(start_daemon: StartDaemon) -> None:
    daemon = start_daemon(radius='listen = ["127.0.0.1"]\nbatch_max = 10')
    [worker] = daemon.workers()
    with daemon.switch() as switch:
        questions = [switch.access(call=new_call()) for _ in range(30)]
        record = switch.record(STOP, new_call(), seconds=1)
        with halted(worker):
            for packet in (*questions, record):
                switch.send(packet)
        assert len(switch.answers([*questions, record])) == 31
    daemon.logs("accounting_request")
    decided = [line["event"] for line in daemon.lines() if line["event"].endswith("_request")]

    assert decided.index("accounting_request") < 10


def test_a_switch_with_a_wrong_secret_fills_no_log(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch(secret="wrong" * 4) as switch:
        for _ in range(500):
            switch.send(switch.access(call=new_call()))
    lines = daemon.lines("dropped", nas="gw", reason="bad_ma")

    assert change.by("radiusd_dropped_total", nas="gw", reason="bad_ma") > 0
    # One a minute, however long this run takes.
    assert len(lines) < 10
    assert lines[0]["level"] == "warning"
    assert "secret" in lines[0]["advice"]


def test_a_line_about_drops_comes_once_a_minute_and_says_how_many_it_stands_for_p_053() -> None:
    lines = RareLines()
    with capture_logs() as written:
        for at in (0.0, 1.0, 59.9, 60.0, 61.0, 125.0):
            lines.note("gw", "192.0.2.1", DropReason.MA_MISSING, at)
        lines.note("gw", "192.0.2.1", DropReason.BAD_MA, 125.0)
        lines.note("gw2", "192.0.2.1", DropReason.MA_MISSING, 125.0)

    assert [line["suppressed"] for line in written] == [0, 2, 1, 0, 0]


def test_1000_pings_are_answered_and_leave_nothing_behind_b_027(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        answers = [switch.ask(switch.status()) for _ in range(1000)]

    assert {answer.code for answer in answers} == {Code.ACCESS_ACCEPT}
    assert change.by("radiusd_dropped_total") == 0


def test_switches_that_are_gone_before_the_answer_harm_nothing_b_029(daemon: Daemon) -> None:
    with daemon.change() as change:
        for _ in range(200):
            with daemon.switch() as switch:
                switch.send(switch.access(call=new_call()))
        with daemon.switch() as switch:
            accept = switch.ask(switch.access(call=new_call()))

    assert accept.accepted
    assert change.by("radiusd_worker_restarts_total") == 0
    assert change.by("radiusd_requests_total", nas="gw", kind="access") == 201


def test_a_number_used_again_at_once_is_a_new_question_each_time_b_024(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        for _ in range(200):
            accept = switch.ask(switch.access(call=new_call(), identifier=5))
            assert accept.accepted

    assert change.by("radiusd_requests_total", nas="gw", kind="access") == 200
    assert change.by("radiusd_duplicates_total") == 0


def test_packets_of_chance_with_a_right_signature_stop_nothing(daemon: Daemon) -> None:
    with daemon.change() as change, daemon.switch() as switch, daemon.switch() as pinging:
        for number in range(400):
            switch.send(_chance(switch, Code.ACCESS_REQUEST, number))
            switch.send(_chance(switch, Code.ACCOUNTING_REQUEST, number))
            if number % 50 == 0:
                assert pinging.is_alive()

    assert change.by("radiusd_worker_restarts_total") == 0
    assert change.by("radiusd_dropped_total", reason="internal_error") == 0
    assert daemon.lines("request_failed") == []


def _chance(switch: Switch, code: Code, number: int) -> bytes:
    """Return a genuine packet of random attributes, of the numbers and sizes that we read."""
    kinds = (1, 2, 3, 4, 8, 25, 26, 30, 31, 32, 40, 41, 44, 46, 55, 60, 95)
    attributes = b"".join(
        raw(secrets.choice(kinds), secrets.token_bytes(secrets.randbelow(20))) for _ in range(10)
    )
    inner = bytes((secrets.choice((1, 23, 24, 25, 26, 28, 29, 30)), 22)) + secrets.token_bytes(20)
    attributes += raw(26, b"\0\0\0\x09" + inner)
    if code is Code.ACCOUNTING_REQUEST:
        sensible = encode("Acct-Status-Type", secrets.choice((1, 2, 3, 15)))
        attributes = sensible + encode("Acct-Session-Id", secrets.token_hex(4)) + attributes
    return wire.request(code, number % 256, attributes, switch.secret)
