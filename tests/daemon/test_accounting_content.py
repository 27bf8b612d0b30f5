"""What records say, true and untrue: rows B-060 to B-085 of the catalogue over the wire."""

from datetime import timedelta
from typing import NamedTuple

import pytest
from daemon_process import Daemon, eventually, short, sql
from radius_switch import FAILED, INTERIM, OFF, ON, START, STOP, Switch, new_call, now, raw

from radiusd.codec import encode
from radiusd.wire import MESSAGE_AUTHENTICATOR, PROXY_STATE, Code


def status(kind: int) -> bytes:
    return encode("Acct-Status-Type", kind)


def cisco(name: str, text: str) -> bytes:
    return encode(name, f"{name}={text}")


def times(connect: str, disconnect: str) -> bytes:
    return cisco("h323-connect-time", connect) + cisco("h323-disconnect-time", disconnect)


# --- B-060 to B-062: which record it is ----------------------------------------------------------------

MANDATORY = [
    # what a record says of its kind and session, and whether it is kept
    *((f"B-060 {kind} without session", status(kind), False) for kind in (START, STOP, INTERIM, FAILED)),
    *((f"B-060 {kind} of an empty one", status(kind) + raw(44, b""), False) for kind in (START, STOP)),
    *((f"B-060 {kind} needs none", status(kind) + raw(32, b"a box of its own"), True) for kind in (ON, OFF)),
    ("B-061 no kind", raw(44, b"session"), False),
    ("B-061 nothing at all", b"", False),
    *((f"B-061 a kind of {size}", raw(40, bytes(size)) + raw(44, b"s"), False) for size in (0, 1, 3, 5)),
    *((f"B-061 a kind of {size} alone", raw(40, bytes(size)), False) for size in (0, 1, 3, 5)),
]


@pytest.mark.parametrize(("name", "record", "is_kept"), MANDATORY, ids=[name for name, *_ in MANDATORY])
def test_a_record_that_names_no_call_is_dropped_b_060_b_061_p_102(
    daemon: Daemon, name: str, record: bytes, is_kept: bool
) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        packet = switch.accounting(record)
        switch.send(packet)
        answer = switch.answer(packet, 5.0 if is_kept else 0.05)

    assert (answer is not None) == is_kept
    assert change.by("radiusd_dropped_total", nas="gw", reason="missing_mandatory") == (not is_kept)
    assert change.by("radiusd_replies_total", code="accounting_response") == is_kept + 1  # and one ping


@pytest.mark.parametrize("kind", [*range(17), 2**32 - 1])
def test_a_record_of_every_kind_is_answered_p_101_p_106(daemon: Daemon, kind: int) -> None:
    client, call = daemon.client(), new_call()
    state = encode("Proxy-State", b"via")
    box = encode("NAS-Identifier", f"box {call}")
    with daemon.change() as change, daemon.switch() as switch:
        answer = switch.ask(switch.record(kind, call, state, box, user=client, seconds=61))
    known = (START, STOP, INTERIM, ON, OFF, FAILED)

    assert answer.code is Code.ACCOUNTING_RESPONSE
    # P-106: what goes back is Proxy-State and nothing else, Message-Authenticator not either.
    assert answer.sent == ((PROXY_STATE, b"via"),)
    assert MESSAGE_AUTHENTICATOR not in dict(answer.sent)
    assert daemon.billing.money(client)[0] == ("-0.61" if kind == STOP else "0")
    assert change.by("radiusd_unknown_records_total", nas="gw") == (kind not in known)


# --- B-063 to B-066, B-072, B-075 to B-078: how long a call lasted -------------------------------------


class Row(NamedTuple):
    """What a Stop says beside who called whom, and what the record of the call says in the end."""

    name: str
    attributes: bytes
    seconds: int | None
    verdict: str
    """What it costs, or why it cannot be billed."""


def lasted(seconds: int) -> bytes:
    return encode("Acct-Session-Time", seconds)


ENDED = "12:01:01.000 UTC Mon Jan 1 2024"
MINUTE = times("12:00:00.000 UTC Mon Jan 1 2024", ENDED)
BACKWARDS = times(ENDED, "12:00:00.000 UTC Mon Jan 1 2024")

STOPS = [
    Row("B-063 nothing", b"", None, "no_duration"),
    Row("B-063 the times of the call", MINUTE, 61, "0.61"),
    Row(
        "B-063 only when it ended",
        cisco("h323-disconnect-time", "12:00:00 UTC Mon Jan 1 2024"),
        None,
        "no_duration",
    ),
    Row("B-064 three octets", raw(46, b"\0\0\x3d"), None, "no_duration"),
    Row("B-064 none", raw(46, b""), None, "no_duration"),
    Row("B-064 three octets, and times", raw(46, b"\0\0\x3d") + MINUTE, 61, "0.61"),
    Row("B-065 no second", lasted(0), 0, "0"),
    Row("B-066 a day", lasted(86_400), 86_400, "864"),
    Row("B-066 a second more", lasted(86_401), 86_401, "implausible_duration"),
    Row("B-066 2**31", lasted(2**31), 2**31, "implausible_duration"),
    Row("B-066 2**32-1", lasted(2**32 - 1), 2**32 - 1, "implausible_duration"),
    Row("B-072 two minutes in milliseconds", lasted(120_000), 120_000, "implausible_duration"),
    Row(
        "B-075 a clock that was never set",
        times("*12:00:00.000 UTC Mon Jan 1 2024", ENDED),
        None,
        "no_duration",
    ),
    Row(
        "B-075 a clock that is not synchronised",
        times(f".{ENDED}".replace("01:01", "00:00"), f".{ENDED}"),
        61,
        "0.61",
    ),
    Row("B-075 hour 24", times("24:00:00.000 UTC Mon Jan 1 2024", ENDED), None, "no_duration"),
    Row("B-075 30 February", times("12:00:00.000 UTC Fri Feb 30 2024", ENDED), None, "no_duration"),
    Row("B-075 another language", times("12:00:00.000 UTC Lun Ene 1 2024", ENDED), None, "no_duration"),
    Row("B-075 no year", times("12:00:00.000 UTC Mon Jan 1", ENDED), None, "no_duration"),
    Row("B-075 200 octets", times("1" * 200, "\xff" * 100), None, "no_duration"),
    Row("B-075 garbage beside a duration", times("*", "?") + lasted(61), 61, "0.61"),
    Row("B-076 backwards", BACKWARDS, None, "contradictory_time"),
    Row("B-076 backwards, and a duration", BACKWARDS + lasted(61), 61, "0.61"),
    Row(
        "B-076 connected days before its setup",
        MINUTE + cisco("h323-setup-time", "12:00:00 UTC Fri Jan 5 2024") + lasted(61),
        61,
        "0.61",
    ),
    Row(
        "B-076 a leap second",
        times("23:59:59.000 UTC Sat Dec 31 2016", "23:59:60.000 UTC Sat Dec 31 2016"),
        None,
        "no_duration",
    ),
    Row(
        "B-076 an hour that came twice",
        times("02:30:00.000 UTC+2 Sun Oct 27 2024", "02:30:01.000 UTC+1 Sun Oct 27 2024"),
        3601,
        "36.01",
    ),
    Row(
        "B-078 counters that are full",
        lasted(61) + b"".join(raw(kind, b"\xff" * 4) for kind in (42, 43, 47, 48, 52, 53)),
        61,
        "0.61",
    ),
    Row(
        "P-012 what nobody has defined",
        lasted(61) + raw(222, b"x") + raw(26, b"\0\1\xff\xff\1\3x"),
        61,
        "0.61",
    ),
    Row(
        "P-107 what no record may carry",
        lasted(61) + raw(2, bytes(16)) + raw(3, bytes(17)) + raw(18, b"m") + raw(24, b"s"),
        61,
        "0.61",
    ),
]


@pytest.mark.parametrize("row", STOPS, ids=[row.name for row in STOPS])
def test_a_stop_is_judged_as_its_row_says_b_063_to_b_078(daemon: Daemon, row: Row) -> None:
    client, call = daemon.client(credit="1000"), new_call()
    with daemon.change() as change, daemon.switch() as switch:
        answer = switch.ask(switch.record(STOP, call, row.attributes, user=client))
    [xdr] = daemon.billing.xdrs(call)
    is_billed = row.verdict[0].isdigit()

    assert answer.code is Code.ACCOUNTING_RESPONSE
    assert xdr["duration_seconds"] == row.seconds
    assert (xdr["reason"] or short(xdr["amount"])) == row.verdict
    assert (xdr["state"] == "unbillable") == (not is_billed)
    assert daemon.billing.money(client) == (
        short(f"-{row.verdict}") if row.verdict > "0" and is_billed else "0",
        "0",
        0,
    )
    assert change.by("billing_xdrs_total", leg="origination", state=xdr["state"]) == 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [("10", "16"), ("0x10", "16"), ("1f", "31"), ("zz", "zz"), ("", None), ("１６", "１６"), ("1_0", "1_0")],  # noqa: RUF001
)
def test_a_cause_is_hexadecimal_or_kept_as_it_came_b_077(
    daemon: Daemon, text: str, cause: str | None
) -> None:
    call = new_call()
    with daemon.switch() as switch:
        switch.ask(switch.record(STOP, call, cisco("h323-disconnect-cause", text), seconds=1))

    assert [xdr["disconnect_cause"] for xdr in daemon.billing.xdrs(call)] == [cause]


def test_without_a_duration_the_dates_of_the_records_tell_it_b_063_p_104(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    began = now() - timedelta(seconds=100)
    with daemon.switch() as switch:
        delay = encode("Acct-Delay-Time", 20)
        switch.ask(switch.record(START, call, delay, user=client, at=began))
        switch.ask(switch.record(STOP, call, delay, user=client, at=began + timedelta(seconds=61)))

    # Event-Timestamp is the date exactly: the delay is in it already.
    assert daemon.billing.money(client) == ("-0.61", "0", 0)


# --- B-067 to B-071, B-083: several records of one call ------------------------------------------------


class Course(NamedTuple):
    """Records of one call in the order in which they come, and what it costs in the end."""

    name: str
    records: tuple[tuple[int, int | None], ...]
    cost: str
    finished: tuple[int, ...]
    """The durations in the finished records."""


COURSES = [
    Course("B-067 an Interim goes back", ((START, None), (INTERIM, 30), (INTERIM, 10)), "0", ()),
    Course("B-067 a Stop below the Interim", ((START, None), (INTERIM, 30), (STOP, 20)), "-0.2", (20,)),
    Course("B-067 an Interim back, then a Stop", ((INTERIM, 30), (INTERIM, 10), (STOP, 61)), "-0.61", (61,)),
    Course("B-068 a longer Stop comes second", ((STOP, 20), (STOP, 61)), "-0.61", (61,)),
    Course("B-068 a shorter Stop comes second", ((STOP, 61), (STOP, 20)), "-0.61", (61,)),
    Course("B-068 a Stop that cannot be true comes second", ((STOP, 61), (STOP, 2**31)), "-0.61", (61,)),
    Course("B-069 a Start after the Stop", ((STOP, 61), (START, None)), "-0.61", (61,)),
    Course("B-069 an Interim after the Stop", ((STOP, 61), (INTERIM, 90)), "-0.61", (61,)),
    Course("P-103 Interims charge nothing", ((START, None), (INTERIM, 30), (INTERIM, 60)), "0", ()),
]


@pytest.mark.parametrize("course", COURSES, ids=[course.name for course in COURSES])
def test_a_call_costs_what_its_row_says_b_067_to_b_069_p_103(daemon: Daemon, course: Course) -> None:
    client, call = daemon.client(), new_call()
    with daemon.change() as change, daemon.switch() as switch:
        for kind, seconds in course.records:
            answer = switch.ask(switch.record(kind, call, user=client, seconds=seconds))
            assert answer.code is Code.ACCOUNTING_RESPONSE

    assert daemon.billing.money(client)[0] == course.cost
    assert tuple(xdr["duration_seconds"] for xdr in daemon.billing.xdrs(call)) == course.finished
    assert change.by("radiusd_dropped_total") == 0


SESSIONS = {
    "253 octets": (b"a" * 253, "a" * 253),
    "253 others": (b"a" * 252 + b"b", "a" * 252 + "b"),
    "small": (b"case", "case"),
    "capital": (b"CASE", "CASE"),
    "a space before": (b" case", " case"),
    "a space behind": (b"case ", "case "),
    "a pattern": (b"c%se", "c%se"),
    "a quote": (b"c'se", "c'se"),
    "NUL": (b"c\0se", "c\\x00se"),
    "no UTF-8": (b"c\xe4se", "c\\xe4se"),
    "another that is none": (b"c\xe5se", "c\\xe5se"),
}


def test_session_ids_are_compared_octet_by_octet_b_071(daemon: Daemon) -> None:
    client, box = daemon.client(), new_call()
    with daemon.switch("127.0.0.4") as switch:
        for sent, _ in SESSIONS.values():
            parts = [status(STOP), raw(44, sent), encode("User-Name", client), lasted(61)]
            number = encode("Called-Station-Id", "442071234567")
            switch.ask(switch.accounting(*parts, number, encode("NAS-Identifier", box)))
    shown = {xdr["session_id"] for xdr in daemon.billing("xdrs", "--client", client)}

    assert shown == {text for _, text in SESSIONS.values()}
    assert daemon.billing.money(client) == (short(f"-{0.61 * len(SESSIONS):.2f}"), "0", 0)


def test_of_several_classes_the_one_that_is_ours_counts_b_083(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        accept = switch.ask(switch.access(user=client, call=call))
        foreign = encode("Class", b"of another server")
        renamed = (STOP, new_call(), foreign, accept.classes, accept.classes)
        switch.ask(switch.record(*renamed, user=client, seconds=61, session="another"))

    assert daemon.billing.money(client) == ("-0.61", "0", 0)


# --- B-079, B-080: boxes that begin anew ---------------------------------------------------------------


def reboot(switch: Switch, kind: int, box: bytes) -> bytes:
    return switch.accounting(status(kind), box, encode("Event-Timestamp", int(now().timestamp()) + 1))


def test_a_box_with_many_calls_begins_anew_and_is_answered_at_once_b_079_p_105(daemon: Daemon) -> None:
    client, box = daemon.client(), encode("NAS-Identifier", f"box {new_call()}")
    with daemon.switch() as switch:
        starts = [switch.record(START, new_call(), box, user=client) for _ in range(200)]
        for packet in starts:
            switch.send(packet)
        assert len(switch.answers(starts)) == 200
        assert daemon.billing.money(client)[2] == 200
        answer = switch.ask(reboot(switch, ON, box))

    assert answer.code is Code.ACCOUNTING_RESPONSE
    assert eventually(lambda: daemon.billing.money(client) == ("0", "0", 0))


def test_a_box_that_begins_anew_again_and_again_closes_nothing_twice_b_080(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    box = encode("NAS-Identifier", f"box {call}")
    with daemon.change() as change, daemon.switch() as switch:
        switch.ask(switch.record(START, call, box, user=client))
        switch.ask(switch.record(INTERIM, call, box, user=client, seconds=1))
        answers = [switch.ask(reboot(switch, kind, box)) for kind in (ON, OFF) * 25]

    assert len(answers) == 50
    assert eventually(lambda: daemon.billing.money(client)[2] == 0)
    assert len(daemon.billing.xdrs(call)) == 1
    assert change.by("radiusd_dropped_total") == 0


# --- B-081, B-082, P-094: who and where ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "called", "reason"),
    [
        ("nobody at all", "442071234567", "no_account"),
        (None, "442071234567", "no_account"),
        ("alice", "15551234567", "no_rate"),
        ("alice", "letters", "no_rate"),
        ("alice", "４４２０７", "no_rate"),  # noqa: RUF001
    ],
)
def test_what_cannot_be_charged_is_answered_and_listed_b_081_b_082(
    daemon: Daemon, user: str | None, called: str, reason: str
) -> None:
    call = new_call()
    with daemon.change() as change, daemon.switch() as switch:
        answer = switch.ask(switch.record(STOP, call, user=user, called=called, seconds=61))
    [xdr] = daemon.billing.xdrs(call)

    assert answer.code is Code.ACCOUNTING_RESPONSE
    assert (xdr["state"], xdr["reason"], short(xdr["amount"])) == ("unbillable", reason, "0")
    assert change.by("billing_xdrs_total", state="unbillable") == 1
    assert change.by("billing_charged_amount_total") == 0


@pytest.mark.parametrize(
    ("attributes", "box"),
    [
        (b"", ("", "")),
        (raw(4, b"abc"), ("", "")),
        (raw(32, b""), ("", "")),
        (raw(4, bytes((127, 0, 0, 1))), ("", "")),
        (raw(4, bytes(4)), ("", "")),
        (raw(4, bytes((192, 0, 2, 7))), ("", "192.0.2.7")),
        (raw(95, b"\x20\1\x0d\xb8" + bytes(11) + b"\1"), ("", "2001:db8::1")),
        (raw(4, bytes((192, 0, 2, 7))) + raw(32, b"gw 7"), ("gw 7", "192.0.2.7")),
    ],
    ids=["nothing", "three octets", "an empty name", "loopback", "unspecified", "IPv4", "IPv6", "both"],
)
def test_a_device_is_known_by_the_names_that_tell_it_from_others_p_013_p_094(
    daemon: Daemon, attributes: bytes, box: tuple[str, str]
) -> None:
    call = new_call()
    with daemon.switch() as switch:
        switch.ask(switch.record(STOP, call, attributes, seconds=1))
    rows = sql(daemon.url, "SELECT nas_box, nas_address FROM session WHERE call_id = %s", call)

    assert rows == [box]


def test_passwords_in_a_record_are_nowhere_afterwards_b_084_p_107(daemon: Daemon) -> None:
    call, secret = new_call(), b"open-sesame-soon"
    with daemon.switch() as switch:
        hidden = raw(2, secret) + raw(3, b"\7" + secret)
        switch.ask(switch.record(STOP, call, hidden, seconds=1))
        switch.ask(switch.record(99, call, hidden, seconds=1))
    kept = [
        sql(daemon.url, "SELECT session::text FROM session"),
        sql(daemon.url, "SELECT xdr::text FROM xdr"),
        sql(daemon.url, "SELECT unknown_record::text FROM unknown_record"),
    ]

    assert call in str(kept)
    assert all(form not in str(kept) for form in (secret.decode(), secret.hex()))
    assert secret.decode() not in daemon.text()
