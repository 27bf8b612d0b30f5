"""Accounting over a network that loses, repeats and reorders: one call, one charge."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from daemon_process import Daemon, StartDaemon, eventually, short, sql
from daemon_world import NASES, nas
from radius_switch import FAILED, INTERIM, OFF, ON, START, STOP, conf_id, new_call, now, raw

from radiusd.codec import encode
from radiusd.wire import Code

VENDOR = encode("h323-remote-address", "h323-remote-address=203.0.113.20")
VENDORS_LEG = (encode("h323-call-origin", "h323-call-origin=originate"), VENDOR)


@pytest.mark.parametrize("order", list(permutations((START, INTERIM, STOP))), ids=str)
@pytest.mark.parametrize("authorized", [True, False], ids=["authorized", "unasked"])
def test_records_in_any_order_make_one_charge_r_04_r_05(
    daemon: Daemon, order: tuple[int, ...], authorized: bool
) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        if authorized:
            switch.ask(switch.access(user=client, call=call))
        for kind in order:
            seconds = {START: None, INTERIM: 30, STOP: 61}[kind]
            switch.ask(switch.record(kind, call, user=client, seconds=seconds))

    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    assert [short(xdr["amount"]) for xdr in daemon.billing.xdrs(call)] == ["0.61"]


@pytest.mark.parametrize("lost", [START, INTERIM], ids=str)
def test_a_lost_start_or_interim_changes_no_charge_r_06(daemon: Daemon, lost: int) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        switch.ask(switch.access(user=client, call=call))
        for kind, seconds in ((START, None), (INTERIM, 30), (STOP, 61)):
            if kind != lost:
                switch.ask(switch.record(kind, call, user=client, seconds=seconds))

    assert daemon.billing.money(client) == ("-0.61", "0", 0)


def test_a_stop_sent_again_with_another_identifier_and_delay_is_charged_once_r_02(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.change() as change, daemon.switch() as switch, daemon.switch() as other:
        for delay in range(5):
            for sender in (switch, other):
                late = encode("Acct-Delay-Time", delay)
                sender.ask(sender.record(STOP, call, late, user=client, seconds=61))

    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    assert len(daemon.billing.xdrs(call)) == 1
    assert change.by("radiusd_duplicates_total", nas="gw", level="record") == 9
    assert change.by("billing_xdrs_total", leg="origination", state="rated") == 1
    assert change.by("billing_charged_amount_total", leg="origination", currency="USD") == pytest.approx(0.61)


def test_the_longest_of_several_stops_counts(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        for seconds in (50, 61, 10):
            switch.ask(switch.record(STOP, call, user=client, seconds=seconds))

    assert daemon.billing.money(client) == ("-0.61", "0", 0)


def test_a_class_links_a_record_that_names_the_call_differently(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        accept = switch.ask(switch.access(user=client, call=call))
        renamed = switch.record(STOP, new_call(), accept.classes, user=client, seconds=61, session="other")
        switch.ask(renamed)

    assert daemon.billing.money(client) == ("-0.61", "0", 0)


@pytest.mark.parametrize("damage", ["forged", "cut", "of another NAS"])
def test_a_class_that_we_did_not_sign_for_this_nas_links_nothing_b_083(daemon: Daemon, damage: str) -> None:
    client, call = daemon.client(), new_call()
    elsewhere = damage == "of another NAS"
    with daemon.other_switch() if elsewhere else daemon.switch() as asking, daemon.switch() as switch:
        value = asking.ask(asking.access(user=client, call=call)).attributes.raws("Class")[0]
        wrong = {"forged": value[:-1] + bytes((value[-1] ^ 1,)), "cut": value[:-1]}.get(damage, value)
        switch.ask(switch.record(STOP, new_call(), encode("Class", wrong), user=client, seconds=61))

    assert daemon.billing.money(client) == ("-0.61", "10", 1)


def test_a_failed_record_closes_a_call_without_charge_p_101(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        switch.ask(switch.access(user=client, call=call))
        answer = switch.ask(switch.record(FAILED, call, user=client))

    assert answer.code is Code.ACCOUNTING_RESPONSE
    assert daemon.billing.money(client) == ("0", "0", 0)
    [xdr] = daemon.billing.xdrs(call)
    assert (short(xdr["amount"]), xdr["duration_seconds"]) == ("0", 0)


def test_a_failed_record_ends_no_call_that_was_answered(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        switch.ask(switch.access(user=client, call=call))
        switch.ask(switch.record(START, call, user=client))
        switch.ask(switch.record(FAILED, call, user=client))
        under_way = daemon.billing.money(client)
        switch.ask(switch.record(STOP, call, user=client, seconds=61))

    assert under_way == ("0", "10", 1)
    assert daemon.billing.money(client) == ("-0.61", "0", 0)


@pytest.mark.parametrize("kind", [ON, OFF], ids=["on", "off"])
def test_a_reboot_closes_the_calls_of_that_box_which_began_before_r_08(daemon: Daemon, kind: int) -> None:
    client = daemon.client(credit="30")
    before, after, elsewhere = new_call(), new_call(), new_call()
    box, other_box = encode("NAS-Identifier", f"box {before}"), encode("NAS-Identifier", f"other {before}")
    with daemon.switch() as switch:
        switch.ask(switch.record(START, before, box, user=client))
        switch.ask(switch.record(START, elsewhere, other_box, user=client))
        happened = now()
        eventually(lambda: now() > happened + timedelta(seconds=1.1))
        switch.ask(switch.record(START, after, box, user=client))
        stamp = encode("Event-Timestamp", int((happened + timedelta(seconds=1)).timestamp()))
        answer = switch.ask(switch.accounting(encode("Acct-Status-Type", kind), box, stamp))

    assert answer.code is Code.ACCOUNTING_RESPONSE
    assert eventually(lambda: daemon.billing.xdrs(before))
    assert daemon.billing.xdrs(before)[0]["state"] == "estimated"
    assert {call["call_id"] for call in daemon.billing("calls")} >= {after, elsewhere}


@pytest.mark.parametrize(
    ("user", "called", "seconds", "reason"),
    [
        ("nobody", "442071234567", 61, "no_account"),
        ("alice", "15551234567", 61, "no_rate"),
        ("alice", "442071234567", None, "no_duration"),
        ("alice", "442071234567", 86_401, "implausible_duration"),
        ("alice", "442071234567", 2**32 - 1, "implausible_duration"),
    ],
)
def test_a_record_that_nobody_can_be_charged_for_is_acknowledged_listed_and_counted(
    daemon: Daemon, user: str, called: str, seconds: int | None, reason: str
) -> None:
    call = new_call()
    with daemon.change() as change, daemon.switch() as switch:
        answer = switch.ask(switch.record(STOP, call, user=user, called=called, seconds=seconds))
    listed = {xdr["call_id"]: xdr for xdr in daemon.billing("xdrs", "--unbillable")}

    assert answer.code is Code.ACCOUNTING_RESPONSE
    assert (listed[call]["reason"], short(listed[call]["amount"])) == (reason, "0")
    assert change.by("billing_xdrs_total", leg="origination", state="unbillable") == 1
    assert change.by("billing_charged_amount_total") == 0
    assert change.by("billing_rate_misses_total") == (1 if reason == "no_rate" else 0)


@pytest.mark.parametrize("kind", [START, INTERIM, STOP, FAILED], ids=str)
@pytest.mark.parametrize("session", [b"", raw(44, b"")], ids=["absent", "empty"])
def test_a_record_without_session_id_is_dropped_b_060(daemon: Daemon, kind: int, session: bytes) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        packet = switch.accounting(encode("Acct-Status-Type", kind), session, conf_id(new_call()))

        assert switch.gets_no_answer(packet)
    assert change.by("radiusd_dropped_total", nas="gw", reason="missing_mandatory") == 1


@pytest.mark.parametrize("value", [b"", b"\1", b"\0\0\1", b"\0\0\0\0\1"], ids=lambda value: f"{len(value)}")
def test_a_status_type_of_the_wrong_size_is_dropped_b_061(daemon: Daemon, value: bytes) -> None:
    with daemon.change() as change, daemon.switch() as switch:
        assert switch.gets_no_answer(switch.accounting(raw(40, value)))
    assert change.by("radiusd_dropped_total", nas="gw", reason="missing_mandatory") == 1


@pytest.mark.parametrize("kind", [0, 4, 5, 6, *range(9, 15), 16, 99, 2**32 - 1])
def test_a_record_of_any_other_status_type_is_acknowledged_and_charges_nothing_p_101_b_062(
    daemon: Daemon, kind: int
) -> None:
    call = new_call()
    with daemon.change() as change, daemon.switch() as switch:
        switch.ask(switch.record(kind, call, seconds=5))
    assert change.by("radiusd_unknown_records_total", nas="gw") == 1
    assert daemon.billing.xdrs(call) == []


def test_the_vendor_of_a_termination_leg_is_owed_its_price(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    before, *_ = daemon.billing.money("Vendor")
    with daemon.switch() as switch:
        switch.ask(switch.access(user=client, call=call))
        for seconds in (60, 60):
            switch.ask(switch.record(STOP, call, *VENDORS_LEG, user=client, seconds=seconds))
        switch.ask(switch.record(STOP, call, user=client, seconds=61))
    after, *_ = daemon.billing.money("Vendor")

    assert Decimal(after) - Decimal(before) == Decimal("0.30")
    assert daemon.billing.money(client) == ("-0.61", "0", 0)
    legs = {xdr["leg"]: (xdr["client"], short(xdr["amount"])) for xdr in daemon.billing.xdrs(call)}
    assert legs == {"origination": (client, "0.61"), "termination": ("Vendor", "0.3")}


def test_a_grant_that_is_never_used_is_released_by_the_sweep_and_a_real_stop_still_wins(
    daemon: Daemon,
) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch("127.0.0.6") as switch:
        accept = switch.ask(switch.access(user=client, call=call))

        assert daemon.billing.money(client) == ("0", "10", 1)
        assert eventually(lambda: daemon.billing.money(client) == ("0", "0", 0))
        switch.ask(switch.record(STOP, call, accept.classes, user=client, seconds=61))
    assert daemon.billing.money(client) == ("-0.61", "0", 0)


def test_a_call_that_falls_silent_is_closed_as_its_switch_says_and_a_real_stop_corrects_it_r_07(
    start_daemon: StartDaemon,
) -> None:
    granted = nas("granted", "127.0.0.60", 'on_silence = "charge_granted"')
    daemon = start_daemon(
        limits="sweep_seconds = 1\nmax_call_seconds = 2\nsilence_margin_seconds = 0", nas=NASES + granted
    )
    known_client, granted_client = daemon.client(), daemon.client()
    known_call, granted_call = new_call(), new_call()
    legs = [("127.0.0.1", known_client, known_call), ("127.0.0.60", granted_client, granted_call)]
    for address, client, call in legs:
        with daemon.switch(address) as switch:
            switch.ask(switch.access(user=client, call=call))
            switch.ask(switch.record(START, call, user=client))
            switch.ask(switch.record(INTERIM, call, user=client, seconds=1))

    assert eventually(lambda: daemon.billing.money(known_client) == ("-0.01", "0", 0))
    assert eventually(lambda: daemon.billing.money(granted_client) == ("-0.02", "0", 0))
    assert [xdr["state"] for xdr in daemon.billing.xdrs(known_call)] == ["estimated"]
    assert len(daemon.logs("leg_fell_silent")) == 2
    for address, client, call in legs:
        with daemon.switch(address) as switch:
            switch.ask(switch.record(STOP, call, user=client, seconds=61))
        assert daemon.billing.money(client) == ("-0.61", "0", 0)
        assert [xdr["state"] for xdr in daemon.billing.xdrs(call)] == ["rated"]
    assert daemon.billing.is_sound()


def test_a_record_of_4096_octets_is_kept_b_085(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    pairs = [encode("Cisco-AVPair", "x" * 240)] * 15
    with daemon.switch() as switch:
        filled = switch.record(STOP, call, *pairs, user=client, seconds=61)
        rest = 4096 - len(filled)
        packet = switch.record(STOP, call, *pairs, raw(200, b"y" * (rest - 2)), user=client, seconds=61)
        assert len(packet) == 4096
        switch.ask(packet)

    assert daemon.billing.money(client) == ("-0.61", "0", 0)


@pytest.mark.parametrize("stamp", [0, 86_400, 4_294_967_295], ids=["1970", "1970-01-02", "2106"])
@pytest.mark.parametrize("delay", [0, 86_400, 2**32 - 1])
def test_clocks_that_are_wrong_change_no_charge_b_073_b_074(daemon: Daemon, stamp: int, delay: int) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        switch.ask(switch.access(user=client, call=call))
        dates = encode("Event-Timestamp", stamp), encode("Acct-Delay-Time", delay)
        switch.ask(switch.record(STOP, call, *dates, user=client, seconds=61))

    assert daemon.billing.money(client) == ("-0.61", "0", 0)


def test_a_password_in_a_record_is_never_kept_b_084(daemon: Daemon) -> None:
    client, call = daemon.client(), new_call()
    with daemon.switch() as switch:
        switch.ask(switch.record(STOP, call, raw(2, b"open-sesame-now!"), user=client, seconds=1))
    rows = sql(daemon.url, "SELECT session::text FROM session WHERE call_id = %s", call)

    assert "open-sesame" not in str(rows)
    assert "open-sesame" not in daemon.text()


def test_the_same_session_id_of_two_softswitches_are_two_calls_b_070(daemon: Daemon) -> None:
    client = daemon.client()
    session = encode("Acct-Session-Id", new_call())
    for address in ("127.0.0.1", "127.0.0.5"):
        with daemon.switch(address) as switch:
            stop = (encode("Acct-Status-Type", STOP), session, encode("Acct-Session-Time", 61))
            number = encode("Called-Station-Id", "442071234567")
            switch.ask(switch.accounting(*stop, encode("User-Name", client), number))

    assert daemon.billing.money(client) == ("-1.22", "0", 0)
