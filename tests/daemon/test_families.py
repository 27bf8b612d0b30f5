"""Switches of several families at one daemon: what each is answered, and what its calls cost in the end."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from daemon_process import Daemon, Settings, eventually, sql, start
from daemon_world import nas
from postgres import PostgresServer
from radius_switch import FAILED, INTERIM, START, STOP, Switch, new_call, now, raw

from radiusd.codec import encode, named
from radiusd.suspicion import THOUSANDFOLD_IN_A_ROW
from radiusd.wire import Code

CISCO = "127.0.0.1"
KAMAILIO, JERASOFT, ORACLE, SIPPY, TRUSTING, ASTERISK, GNUGK = (f"127.0.0.{last}" for last in range(21, 28))
NASES = "".join(
    (
        nas("kamailio", KAMAILIO, dialect="kamailio"),
        nas("jerasoft", JERASOFT, dialect="jerasoft"),
        nas("oracle", ORACLE, 'duration_unit = "ms"', dialect="oracle"),
        nas("sippy", SIPPY, 'routing = "192.0.2.40:5060"', dialect="sippy"),
        nas("trusting", TRUSTING, "trusted_names = true"),
        nas("gw", CISCO),
        nas("asterisk", ASTERISK, dialect="asterisk"),
        nas("gnugk", GNUGK, dialect="gnugk"),
    )
)
FILES = ("dictionary", "dictionary.cisco", "dictionary.acme", "dictionary.sip-avp", "dictionary.asterisk")
OPENSER = named(("dictionary", "dictionary.openser"))
TABLES = named(FILES)


@pytest.fixture(scope="module")
def daemon(
    postgres_server: PostgresServer, defined_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """Give a daemon that knows switches of these families."""
    url = postgres_server.create_database(defined_url)
    settings = Settings(url, radius='listen = ["0.0.0.0"]', limits="sweep_seconds = 3600", nas=NASES)
    started = start(tmp_path_factory.mktemp("dialects"), settings)
    yield started
    assert started.stop() == 0
    assert started.billing.is_sound()
    postgres_server.drop_database(url)


def pair(text: str) -> bytes:
    return encode("Cisco-AVPair", text)


def sip(kind: int, call: str, method: int, *attributes: bytes, at: datetime | None = None) -> list[bytes]:
    """Return what Kamailio says of a call out of the box, and *attributes* that its extras add."""
    moment = int((at or now()).timestamp())
    return [
        encode("Acct-Status-Type", kind),
        encode("Acct-Session-Id", call),
        OPENSER.encode("Sip-Method", method),
        OPENSER.encode("Sip-Response-Code", 200),
        encode("Event-Timestamp", moment),
        *attributes,
    ]


def test_a_call_through_kamailio_costs_the_time_between_start_and_stop_though_parties_are_swapped(
    daemon: Daemon,
) -> None:
    caller, callee, call = daemon.client(), daemon.client(), f"{new_call()}@198.51.100.7"
    asked = encode("User-Name", caller), encode("Called-Station-Id", "442071234567")
    swapped = encode("User-Name", callee), encode("Called-Station-Id", caller)
    ended_at = now()
    with daemon.switch(KAMAILIO) as switch:
        accept = switch.ask(switch.access(pair(f"call-id={call}"), user=caller))
        switch.ask(switch.accounting(*sip(START, call, 1, *asked, at=ended_at - timedelta(seconds=61))))
        switch.ask(switch.accounting(*sip(STOP, call, 8, *swapped, at=ended_at)))

    assert b"session_max_time#1000" in accept.octets
    assert (daemon.billing.money(caller), daemon.billing.money(callee)) == (("-0.61", "0", 0), ("0", "0", 0))


def test_a_cancelled_call_through_kamailio_is_closed_without_charge_by_either_of_its_records(
    daemon: Daemon,
) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch(KAMAILIO) as switch:
        switch.ask(switch.access(pair(f"call-id={call}"), user=client))
        switch.ask(switch.accounting(*sip(STOP, call, 2)))
        assert daemon.billing.money(client) == ("0", "0", 0)
        switch.ask(switch.accounting(*sip(FAILED, call, 1)))

    assert daemon.billing.money(client) == ("0", "0", 0)
    assert [xdr["state"] for xdr in daemon.billing.xdrs(call)] == ["rated"]


def test_a_call_in_jerasofts_way_has_neither_name_nor_session_id(daemon: Daemon) -> None:
    address = f"198.51.100.{100 + daemon_number(daemon)}"
    client, call, leg = daemon.client(account=f'ip = "{address}"'), new_call(), new_call()
    common = [
        encode("h323-conf-id", call),
        pair(f"h323-call-id={leg}"),
        pair(f"src-gw-ip={address}"),
        pair("dst-number-in=442071234567"),
    ]
    ended = encode("Acct-Status-Type", STOP), encode("Acct-Session-Time", 61)
    with daemon.switch(JERASOFT) as switch:
        accept = switch.ask(switch.access(*common, user=None, password=None, called=None))
        switch.ask(switch.accounting(encode("Acct-Status-Type", START), *common))
        under_way = daemon.billing.money(client)
        switch.ask(switch.accounting(*ended, *common))

    assert accept.code is Code.ACCESS_ACCEPT
    assert b"\x66\x061000" in accept.octets, "the credit time goes out bare"
    assert under_way == ("0", "10", 1)
    assert daemon.billing.money(client) == ("-0.61", "0", 0)


def daemon_number(daemon: Daemon) -> int:
    return len(list(daemon.directory.glob("*.toml")))


def test_who_somebody_is_can_be_asked_without_money_and_without_a_limit(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch(CISCO) as switch:
        known = switch.ask(switch.access(user=client, called=None, call=call))
        poor = switch.ask(switch.access(user="poor", called=None))
        narrow = switch.ask(switch.access(user="narrow-client", called=None))
        wrong = switch.ask(switch.access(user=client, password="wrong", called=None))
        held = daemon.billing.money(client)
        allowed = switch.ask(switch.access(user=client, call=call))

    assert [answer.code for answer in (known, poor, narrow)] == [Code.ACCESS_ACCEPT] * 3
    assert (known.return_code, known.seconds, known.classes) == ("0", None, b"")
    assert known.attributes.text("h323-credit-time") is None
    assert known.attributes.text("h323-credit-amount") == "10.00"
    assert wrong.return_code == "2"
    assert held == ("0", "0", 0)
    assert allowed.seconds == 1000


def test_a_registration_is_authentication_though_it_names_a_number(daemon: Daemon) -> None:
    with daemon.switch(CISCO) as switch:
        answer = switch.ask(switch.access(pair("request-type=user"), user="alice", call=new_call()))

    assert (answer.code, answer.seconds) == (Code.ACCESS_ACCEPT, None)
    assert daemon.logs("access_request", outcome="authenticated")


def test_a_trusted_name_needs_no_password_there_and_only_there(daemon: Daemon) -> None:
    with daemon.switch(TRUSTING) as trusted, daemon.switch(CISCO) as other:
        accepted = trusted.ask(trusted.access(user="alice", password=None, call=new_call()))
        refused = other.ask(other.access(user="alice", password=None, call=new_call()))
        wrong = trusted.ask(trusted.access(user="alice", password="wrong", call=new_call()))

    assert (accepted.seconds, refused.return_code, wrong.return_code) == (7200, "1", "2")


def test_sippy_is_told_its_route_and_its_two_legs_and_attempts_are_told_apart(daemon: Daemon) -> None:
    client, call = daemon.client(), f"{new_call()}@198.51.100.7"

    def leg(origin: str, address: str, setup: str, seconds: int) -> bytes:
        return switch.accounting(
            encode("Acct-Status-Type", STOP),
            encode("Acct-Session-Id", call),
            encode("User-Name", client),
            encode("Called-Station-Id", "442071234567"),
            encode("h323-call-origin", f"h323-call-origin={origin}"),
            encode("h323-remote-address", f"h323-remote-address={address}"),
            encode("h323-setup-time", f"h323-setup-time={setup} GMT Mon Nov 23 2026"),
            encode("Acct-Session-Time", seconds),
            encode("Acct-Delay-Time", 1_795_423_643),
        )

    vendor = "203.0.113.20"
    before, *_ = daemon.billing.money("Vendor")
    with daemon.switch(SIPPY) as switch:
        accept = switch.ask(switch.access(pair(f"call-id={call}"), user=client))
        for record in (
            leg("originate", vendor, "08:47:22.000", 0),
            leg("originate", vendor, "08:47:23.000", 60),
            leg("answer", "198.51.100.7", "08:47:22.000", 61),
        ):
            switch.ask(record)
    after, *_ = daemon.billing.money("Vendor")

    assert b"h323-ivr-in=Routing:192.0.2.40:5060;credit-time=1000" in accept.octets
    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    assert float(after) - float(before) == pytest.approx(0.30)
    assert [xdr["leg"] for xdr in daemon.billing.xdrs(call)].count("termination") == 2


def test_milliseconds_are_charged_as_seconds_and_lost_records_are_counted_p_109_b_072(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()

    def record(switch: Switch, number: int, kind: int = INTERIM) -> bytes:
        return switch.record(
            kind,
            call,
            TABLES.encode("Acme-CDR-Sequence-Number", number),
            encode("NAS-Identifier", "sbc"),
            encode("Acct-Session-Time", 60_001),
            user=client,
        )

    with daemon.change() as change, daemon.switch(ORACLE) as switch:
        for number in (1, 2, 5, 4):
            switch.ask(record(switch, number))
        switch.ask(record(switch, 6, STOP))

    assert daemon.billing.money(client)[0] == "-0.61"
    assert change.by("radiusd_record_numbers_total", nas="oracle", kind="missing") == 2
    assert change.by("radiusd_record_numbers_total", nas="oracle", kind="late") == 1


def test_an_account_code_of_asterisk_pays_and_its_channel_does_not(daemon: Daemon) -> None:
    client, channel, call = daemon.client(), daemon.client(), new_call()
    with daemon.switch(ASTERISK) as switch:
        switch.ask(
            switch.accounting(
                encode("Acct-Status-Type", STOP),
                encode("Acct-Session-Id", call),
                encode("User-Name", channel),
                TABLES.encode("Asterisk-Acc-Code", client),
                TABLES.encode("Asterisk-Dst", "442071234567"),
                TABLES.encode("Asterisk-Bill-Sec", 61),
                TABLES.encode("Asterisk-Duration", 90),
            )
        )

    assert (daemon.billing.money(client)[0], daemon.billing.money(channel)[0]) == ("-0.61", "0")


def test_a_switch_that_seems_to_count_milliseconds_is_named_with_the_setting_b_072(daemon: Daemon) -> None:
    ended_at = now()
    connected = f"h323-connect-time={ended_at - timedelta(seconds=61):%H:%M:%S.000 UTC %a %b %d %Y}"
    with daemon.switch(KAMAILIO) as switch:
        for _ in range(THOUSANDFOLD_IN_A_ROW):
            call = encode("Acct-Session-Id", new_call()), encode("h323-connect-time", connected)
            told = encode("Acct-Status-Type", STOP), encode("Acct-Session-Time", 61_000)
            switch.ask(switch.accounting(*call, *told))

    [line] = daemon.logs("suspicious", nas="kamailio")
    assert (line["reason"], "duration_unit" in line["advice"]) == ("thousandfold", True)


def test_a_call_that_ios_packs_into_its_session_id_is_one_call(daemon: Daemon) -> None:
    client = daemon.client()
    guid = "9DA5EB63 D6A30001 0 7FA4FD"
    began = f"{now() - timedelta(seconds=61):%H:%M:%S.000 UTC %a %b %d %Y}"
    ended = f"{now():%H:%M:%S.000 UTC %a %b %d %Y}"
    start = f"0000A20F/{began}/gw.example/{guid}/answer/Telephony/{began}"
    party = encode("User-Name", client), encode("Called-Station-Id", "442071234567")
    with daemon.switch(CISCO) as switch:
        asked = encode("h323-conf-id", f"h323-conf-id={guid}")
        accept = switch.ask(switch.access(asked, user=client))
        for kind, packed in ((START, start), (STOP, f"{start}/{ended}/10 /198.51.100.7")):
            told = encode("Acct-Status-Type", kind), encode("Acct-Session-Id", packed)
            switch.ask(switch.accounting(*told, *party))

    assert accept.code is Code.ACCESS_ACCEPT
    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    [xdr] = daemon.billing.xdrs("9da5eb63d6a3000100000000007fa4fd")
    assert (xdr["leg"], xdr["state"]) == ("origination", "rated")


def test_the_called_side_of_a_gatekeeper_holds_nothing(daemon: Daemon) -> None:
    caller, called, call = daemon.client(), daemon.client(), new_call()

    def asked(origin: str, user: str) -> bytes:
        return switch.access(encode("h323-call-origin", f"h323-call-origin={origin}"), user=user, call=call)

    with daemon.switch(GNUGK) as switch:
        first, second = switch.ask(asked("originate", caller)), switch.ask(asked("answer", called))

    assert (first.seconds, second.code, second.seconds) == (1000, Code.ACCESS_ACCEPT, None)
    assert (daemon.billing.money(caller), daemon.billing.money(called)) == (("0", "10", 1), ("0", "0", 0))


@pytest.mark.parametrize(("status", "kind"), [(0, "other"), (4, "other"), (9, "tunnel"), (14, "tunnel")])
def test_a_record_of_an_unknown_kind_is_kept_and_acknowledged_p_101_b_062(
    daemon: Daemon, status: int, kind: str
) -> None:
    client, call = daemon.client(), new_call()
    with daemon.change() as change, daemon.switch(CISCO) as switch:
        answer = switch.ask(switch.record(status, call, raw(2, b"hidden-password!"), user=client, seconds=5))
    kept = sql(
        daemon.url,
        "SELECT nas, status, attributes FROM unknown_record WHERE session_id = %s",
        f"session {call}",
    )

    assert answer.code is Code.ACCOUNTING_RESPONSE
    assert daemon.billing.money(client) == ("0", "0", 0)
    [(name, number, attributes)] = kept
    assert (name, number) == ("gw", status)
    assert ["User-Name", client] in json.loads(attributes)
    assert ["User-Password", "***"] in json.loads(attributes)
    assert change.by("radiusd_unknown_records_total", nas="gw", kind=kind) == 1
    assert eventually(lambda: daemon.logs("accounting_unknown", status=status))
