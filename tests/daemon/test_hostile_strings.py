"""Texts that mean to hurt whatever is behind us: rows B-100 to B-111 of the catalogue, in every place."""

import csv
import json
import re
import unicodedata
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from daemon_process import Daemon, Settings, sql, start
from postgres import PostgresServer
from radius_switch import START, STOP, Switch, new_call, raw

from billing_core.number import normalise
from billing_core.visible import visible
from radiusd.codec import encode


@pytest.fixture(scope="module")
def daemon(
    postgres_server: PostgresServer, defined_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """Give a daemon of this module's own: other modules send some of the same texts."""
    url = postgres_server.create_database(defined_url)
    started = start(tmp_path_factory.mktemp("hostile"), Settings(url))
    try:
        yield started
        assert started.billing.is_sound()
    finally:
        assert started.stop() == 0
    postgres_server.drop_database(url)


NAME, CALLED, CALLING, BOX, SESSION = 1, 30, 31, 32, 44


class Row(NamedTuple):
    """A text as it is sent, and as it is kept and shown."""

    name: str
    sent: bytes
    shown: str


def plain(name: str, text: str) -> Row:
    return Row(name, text.encode(), text)


TEXTS = [
    plain("B-100 SQL", "' OR 1=1 --"),
    plain("B-100 two statements", '"; DROP TABLE session; --'),
    plain("B-100 dollars", "$$ $1 $tag$"),
    plain("B-100 a backslash", r"\x \000 \N \."),
    plain("B-100 LDAP", "*)(uid=*))"),
    plain("B-101 printf", "%s%n%x%(user)s"),
    plain("B-101 str.format", "{0.__class__} {} {user}"),
    plain("B-101 JNDI", "${jndi:ldap://192.0.2.1/x}"),
    plain("B-101 markup", "[red]x[/red] <b>"),
    plain("B-102 line ends", "one\r\ntwo\rthree\nfour"),
    plain("B-102 a forged line", '\n{"event": "login ok", "level": "info"}'),
    plain("B-102 controls", "\t\x1b[2J\x07\x08\x7f\x9b"),
    plain("B-102 separators and overrides", "\u2028\u2029\u202egpj.exe\ufeff"),
    Row("B-103 NUL", b"a\0b", "a\\x00b"),
    Row("B-103 only NUL", b"\0\0", "\\x00\\x00"),
    Row("B-104 Latin-1", b"M\xfcller", "M\\xfcller"),
    Row("B-104 a lone continuation", b"\x80x", "\\x80x"),
    Row("B-104 an overlong slash", b"\xc0\xaf", "\\xc0\\xaf"),
    Row("B-105 a surrogate", b"\xed\xa0\x80x", "\\xed\\xa0\\x80x"),
    plain("B-107 253 of A", "A" * 253),
    plain("B-107 63 of four octets", "\U0001f4a9" * 63),
    Row("B-107 253 that are no text", b"\xff" * 253, "\\xff" * 253),
    plain("B-108 a formula", "=cmd|' /C calc'!A0"),
    plain("B-108 a sum", "@SUM(1+1)"),
    plain("B-108 a sign", "+1"),
    plain("B-108 another sign", "-1"),
    plain("B-109 a script", "<script>alert(1)</script>"),
    plain("B-109 an address", "javascript:alert(1)//"),
    plain("B-110 a path", "../../etc/passwd"),
    plain("B-110 a device", "con"),
    plain("B-110 a directory", "a/b"),
]
IDS = [row.name for row in TEXTS]


def fitting(row: Row, number: int) -> bytes:
    return raw(number, row.sent)


@pytest.fixture(autouse=True)
def unharmed(daemon: Daemon) -> Iterator[None]:
    """Serve a good call after each of them."""
    before = (len(daemon.lines("request_failed")), files(daemon.directory))
    yield
    with daemon.switch() as switch:
        assert switch.ask(switch.access(call=new_call())).accepted
    assert (len(daemon.lines("request_failed")), files(daemon.directory)) == before


def files(directory: Path) -> set[str]:
    """Return the files that the daemon could have named by what it was sent."""
    return {str(file) for file in directory.parent.rglob("*") if not file.name.startswith("changed")}


@pytest.mark.parametrize("row", TEXTS, ids=IDS)
def test_a_name_that_means_harm_is_only_unknown_b_100_to_b_111(daemon: Daemon, row: Row) -> None:
    call = new_call()
    with daemon.change() as change, daemon.switch() as switch:
        reject = switch.ask(switch.access(fitting(row, NAME), user=None, call=call))

    assert reject.return_code == "1"
    assert reject.message == "Unknown account"
    assert change.by("radiusd_denials_total", nas="gw", reason="unknown_account") == 1
    # One line, which says exactly what was sent; its words are its own.
    [line] = daemon.logs("access_request", call_id=call)
    assert line["user"] == row.shown
    assert line["event"] == "access_request"


@pytest.mark.parametrize("row", TEXTS, ids=IDS)
def test_a_text_that_means_harm_is_kept_as_it_was_sent_b_100_to_b_110(daemon: Daemon, row: Row) -> None:
    call, client = new_call(), daemon.client()
    with daemon.switch() as switch:
        box, pair = (
            fitting(row, BOX),
            raw(26, b"\0\0\0\x09\1" + bytes((len(row.sent[:240]) + 2,)) + row.sent[:240]),
        )
        asked = switch.access(fitting(row, CALLING), box, pair, user=client, call=call)
        assert switch.ask(asked).accepted
        stop = switch.record(
            STOP, call, fitting(row, CALLING), box, pair, user=client, called="442071234567", seconds=61
        )
        switch.ask(stop)
        odd = switch.ask(_stop(switch, client, row, fitting(row, SESSION)))
    kept = sql(daemon.url, "SELECT calling, nas_box FROM session WHERE call_id = %s", call)

    assert odd is not None
    assert kept == [(row.shown, row.shown)]
    assert daemon.billing.money(client)[0] == "-0.61"
    listed = {xdr["session_id"]: xdr for xdr in daemon.billing("xdrs", "--client", client)}
    assert listed[f"session {call}"]["calling"] == row.shown
    assert listed[row.shown]["called"] == (normalise(row.shown) or row.shown)
    assert listed[row.shown]["reason"] == "no_rate"


def _stop(switch: Switch, client: str, row: Row, session: bytes) -> bytes:
    """Return a Stop that bears the text as its number."""
    return switch.accounting(
        encode("Acct-Status-Type", STOP),
        session,
        fitting(row, CALLED),
        encode("User-Name", client),
        encode("NAS-Identifier", client),
        encode("Acct-Session-Time", 61),
    )


@pytest.mark.parametrize("row", TEXTS, ids=IDS)
def test_exports_quote_what_a_spreadsheet_or_a_browser_would_run_b_108_b_109(
    daemon: Daemon, row: Row
) -> None:
    client = daemon.client()
    with daemon.switch() as switch:
        switch.ask(switch.record(STOP, new_call(), fitting(row, CALLING), user=client, seconds=1))
    _, table, _ = daemon.billing.run("xdrs", "--client", client, "--csv")
    _, document, _ = daemon.billing.run("xdrs", "--client", client, "--json")
    _, shown, _ = daemon.billing.run("xdrs", "--client", client)

    [cells] = csv.DictReader(StringIO(table, newline=""))
    # Nothing is lost but what would steer a terminal; apostrophes may have been added.
    assert cells["calling"].replace("'", "") == visible(row.shown, "\r\n\t").replace("'", "")
    is_number = re.fullmatch(r"\+[0-9]+", cells["calling"])
    assert is_number or not re.search(r"(?:^|[,;|\t\r\n\"]) *[=+@-]", cells["calling"])
    [record] = json.loads(document)
    assert record["calling"] == row.shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


WORD = "Zoë" + "m" * 8
LOOK_ALIKES = [
    unicodedata.normalize("NFD", WORD),
    WORD.lower(),
    WORD.upper(),
    WORD + " ",
    " " + WORD,
    WORD + "\u200d",
    WORD.replace("o", "\u043e"),
    WORD.replace("Z", "\uff3a"),
]


def test_names_that_look_alike_are_not_alike_b_106(daemon: Daemon) -> None:
    known = unicodedata.normalize("NFC", WORD)
    daemon.client(account=f'[[client.account]]\nname = "{known}"\npassword = "secret"')
    with daemon.change() as change, daemon.switch() as switch:
        own = switch.ask(switch.access(user=known, call=new_call()))
        others = [switch.ask(switch.access(user=other, call=new_call())) for other in LOOK_ALIKES]

    assert own.accepted
    assert [answer.return_code for answer in others] == ["1"] * len(LOOK_ALIKES)
    assert change.by("radiusd_denials_total", reason="unknown_account") == len(LOOK_ALIKES)


def test_a_thousand_names_make_no_label_b_111(daemon: Daemon) -> None:
    def labels() -> set[tuple[str, frozenset[tuple[str, str]]]]:
        return set(daemon.sample().values)

    with daemon.switch() as switch:
        switch.ask(switch.access(user="first of many", call=new_call()))
        switch.ask(switch.record(START, new_call(), user="first of many"))
        daemon.settled_sample(switch)
        before = labels()
        for number in range(500):
            switch.ask(switch.access(encode("NAS-Identifier", f"box {number}"), user=f"name {number}"))
            switch.ask(switch.record(START, new_call(), user=f"name {number}"))
        daemon.settled_sample(switch)

    assert labels() == before
