"""Sippy B2BUA, a softswitch that asks RADIUS for leave, route and limit: real calls, and what they cost."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from phones import Phones, eventually, free_udp_port, running, speaks_sip
from served import SECRET, Daemon
from tap import ACCEPT, ALIVE, REJECT, START, STOP, Exchange, Tap, tap

_HERE = Path(__file__).parent / "sippy"
_DICTIONARIES = (_HERE / "dictionary", _HERE.parent / "kamailio" / "dictionary.rfc5090")
_ADDRESS = "127.0.0.12"
_VENDOR_ADDRESS = "127.0.0.21"
_POOR_ADDRESS = "127.0.0.31"
_STRANGE_ADDRESS = "127.0.0.41"
_CLIENT, _POOR, _VENDOR = "Sippy's customer", "Sippy's poor customer", "Sippy's vendor"
_NUMBER = "34600123456"
_SOLD, _BOUGHT = Decimal("0.0650"), Decimal("0.0290")


@dataclass(frozen=True, slots=True)
class Sippy:
    """A running B2BUA with a telephone at each side, and all that it says to the daemon."""

    daemon: Daemon
    tap: Tap
    phones: Phones

    def call(self, caller: str, callee: str | None, **more: object) -> str:
        return self.phones.call(caller, callee, number=_NUMBER, **more)  # type: ignore[arg-type]

    def money(self, client: str = _CLIENT) -> tuple[Decimal, Decimal]:
        """Return the live balance, and what is reserved of it."""
        balance = self.daemon.billing("clients", "show", client)["balance"]
        return Decimal(balance["live"]), Decimal(balance["reserved"])

    def xdrs(self, call_id: str) -> dict[str, tuple[Decimal, str]]:
        """Return what each leg of the call costs, and to whom."""
        legs = self.daemon.billing("xdrs", "--call", call_id)
        assert len({xdr["leg"] for xdr in legs}) == len(legs)
        return {xdr["leg"]: (Decimal(xdr["amount"]), xdr["client"]) for xdr in legs}

    def seconds(self, call_id: str) -> tuple[int, int]:
        """Return how long both legs lasted by their Stops: that of the caller, and that to the vendor."""
        stops = self.tap.await_answers(2, status=STOP, call=call_id)
        assert len(stops) == 2
        lasted = {origin(stop): stop.request.session_seconds for stop in stops}
        told = lasted["answer"], lasted["originate"]
        assert None not in told
        return told  # type: ignore[return-value]


def origin(exchange: Exchange) -> str:
    """Return h323-call-origin."""
    (text,) = [text for text in exchange.request.vendor_texts() if text.startswith("h323-call-origin=")]
    return text.partition("=")[2]


def price(per_minute: Decimal, seconds: int) -> Decimal:
    return (per_minute * seconds / 60).quantize(Decimal("0.000001"), ROUND_HALF_UP)


@contextmanager
def sippy(daemon: Daemon, folder: Path, callee_port: int, *more: str) -> Iterator[Sippy]:
    """Run the B2BUA between callers and a called party. It reports each second that a call goes on."""
    port = free_udp_port()
    with tap(daemon, _ADDRESS) as tapped:
        (folder / "dictionary").write_text("".join(file.read_text() for file in _DICTIONARIES))
        (folder / "servers").write_text(f"127.0.0.1 {SECRET}\n")
        (folder / "radius.conf").write_text(
            f"authserver 127.0.0.1:{tapped.auth_port}\nacctserver 127.0.0.1:{tapped.acct_port}\n"
            f"servers {folder}/servers\ndictionary {folder}/dictionary\ndefault_realm\n"
            "radius_timeout 3\nradius_retries 5\nbindaddr *\n"
        )
        client = folder / "radiusclient"
        client.write_text(f"#!{sys.executable}\n{(_HERE / 'radiusclient.py').read_text()}")
        client.chmod(0o755)
        command = [sys.executable, str(_HERE / "b2bua.py"), "-f", "-A", "2", "-M", "3", *more]
        command += [
            "-l",
            "127.0.0.1",
            "-p",
            str(port),
            "-R",
            f"{folder}/radius.conf",
            "-c",
            f"{folder}/socket",
        ]
        command += [f"--radiusclient={client}", "--auth_enable=on", "--alive_acct_int=1"]
        quiet = {"SIPLOG_BEND": "stderr", "SIPLOG_LVL": "DBUG"}
        with running(command, folder, folder / "sippy.out", os.environ | quiet) as process:
            eventually(lambda: speaks_sip(port), "Sippy does not start", process)
            yield Sippy(daemon, tapped, Phones(folder, port, (_VENDOR_ADDRESS, callee_port)))


@pytest.fixture(scope="module")
def switch(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory, sippy_callee_port: int
) -> Iterator[Sippy]:
    """Give a B2BUA that knows callers by their addresses."""
    with sippy(daemon, tmp_path_factory.mktemp("sippy"), sippy_callee_port, "-D") as started:
        yield started


def test_the_caller_pays_for_his_leg_and_the_vendor_is_owed_for_the_other(switch: Sippy) -> None:
    (live, _), (owed, _) = switch.money(), switch.money(_VENDOR)

    call_id = switch.call("caller_hangs_up", "callee_answers", seconds=2)
    brought, sent = switch.seconds(call_id)

    assert brought >= 2
    assert switch.money() == (live - price(_SOLD, brought), 0)
    assert switch.money(_VENDOR) == (owed + price(_BOUGHT, sent), 0)
    assert switch.xdrs(call_id) == {
        "origination": (price(_SOLD, brought), _CLIENT),
        "termination": (price(_BOUGHT, sent), _VENDOR),
    }


def test_a_call_that_the_callee_ends_is_charged_once(switch: Sippy) -> None:
    live, _ = switch.money()

    call_id = switch.call("caller_stays", "callee_hangs_up", seconds=2)
    brought, _ = switch.seconds(call_id)

    assert switch.money() == (live - price(_SOLD, brought), 0)
    assert len(switch.xdrs(call_id)) == 2


def set_up(switch: Sippy, status: int, call_id: str) -> set[tuple[str, ...]]:
    """Return the origin and the time of set-up that records of that status tell of their legs."""
    return {
        tuple(
            text for text in told.request.vendor_texts() if re.match("h323-(call-origin|setup-time)=", text)
        )
        for told in switch.tap.exchanges(status=status, call=call_id)
    }


def test_while_a_call_is_up_its_money_is_set_aside_and_garbage_in_interims_costs_nothing(
    switch: Sippy,
) -> None:
    live, _ = switch.money()
    meanwhile = []

    def look(call_id: str) -> None:
        alive = switch.tap.await_answers(2, status=ALIVE, call=call_id)
        assert min(one.request.session_seconds or 0 for one in alive) > 10**6
        meanwhile.append(switch.money())

    call_id = switch.call("caller_hangs_up", "callee_answers", seconds=4, meanwhile=look)
    brought, _ = switch.seconds(call_id)
    # What tells conversations of one Call-ID apart is the same in all records of one.
    assert set_up(switch, ALIVE, call_id) == set_up(switch, STOP, call_id) != set()

    assert meanwhile == [(live, price(_SOLD, 7200))]
    assert switch.money() == (live - price(_SOLD, brought), 0)


def test_money_for_three_seconds_cuts_the_call_after_three_seconds_and_the_next_hears_403(
    switch: Sippy,
) -> None:
    call_id = switch.call("caller_stays", "callee_answers", caller_address=_POOR_ADDRESS)

    assert switch.seconds(call_id) == (3, 3)
    assert switch.money(_POOR) == (-price(_SOLD, 3), 0)
    (asked,) = switch.tap.exchanges(call=call_id)
    assert any(text.endswith(";credit-time=3") for text in asked.replies[0].vendor_texts())

    call_id = switch.call("caller_is_refused", None, caller_address=_POOR_ADDRESS, refusal="403 Auth Failed")

    (asked,) = switch.tap.await_answers(1, status=None, call=call_id)
    assert (asked.replies[0].code, asked.replies[0].text(18)) == (REJECT, "Not enough money for this call")
    assert switch.money(_POOR) == (-price(_SOLD, 3), 0)


def test_a_stranger_hears_403(switch: Sippy) -> None:
    call_id = switch.call(
        "caller_is_refused", None, caller_address=_STRANGE_ADDRESS, refusal="403 Auth Failed"
    )

    (asked,) = switch.tap.await_answers(1, status=None, call=call_id)
    assert asked.request.text(1) == _STRANGE_ADDRESS
    assert [(reply.code, reply.text(18)) for reply in asked.replies] == [(REJECT, "Unknown account")]


@pytest.mark.parametrize("refusal", ["486 Busy Here", "480 Temporarily Unavailable"])
def test_a_call_that_is_not_taken_costs_nothing(switch: Sippy, refusal: str) -> None:
    before = switch.money()

    call_id = switch.call("caller_is_refused", "callee_refuses", refusal=refusal)

    assert switch.seconds(call_id) == (0, 0)
    assert switch.money() == before
    assert {amount for amount, _ in switch.xdrs(call_id).values()} == {0}


def test_a_call_that_the_caller_cancels_costs_nothing(switch: Sippy) -> None:
    before = switch.money()

    call_id = switch.call("caller_cancels", "callee_rings")

    assert switch.seconds(call_id) == (0, 0)
    assert switch.money() == before
    assert {amount for amount, _ in switch.xdrs(call_id).values()} == {0}


def test_records_whose_answers_are_lost_come_again_and_are_charged_once(switch: Sippy) -> None:
    live, _ = switch.money()

    def lose(call_id: str) -> None:
        switch.tap.await_answers(2, status=START, call=call_id)
        switch.tap.lose_answers(2, STOP)

    call_id = switch.call("caller_hangs_up", "callee_answers", seconds=2, meanwhile=lose)
    brought, _ = switch.seconds(call_id)

    assert [stop.times for stop in switch.tap.exchanges(status=STOP, call=call_id)] == [2, 2]
    assert switch.money() == (live - price(_SOLD, brought), 0)
    assert len(switch.xdrs(call_id)) == 2


def test_a_call_during_which_the_daemon_is_restarted_is_charged_once(switch: Sippy) -> None:
    live, _ = switch.money()

    def restart(call_id: str) -> None:
        switch.tap.await_answers(2, status=START, call=call_id)
        switch.daemon.stop()
        switch.daemon.start()

    call_id = switch.call("caller_hangs_up", "callee_answers", seconds=3, meanwhile=restart)
    brought, _ = switch.seconds(call_id)

    (asked,) = switch.tap.exchanges(call=call_id)
    assert [reply.code for reply in asked.replies] == [ACCEPT]
    assert switch.money() == (live - price(_SOLD, brought), 0)
    assert len(switch.xdrs(call_id)) == 2


def test_a_caller_who_proves_himself_by_digest_is_let_in_and_charged(
    daemon: Daemon, tmp_path: Path, sippy_callee_port: int
) -> None:
    with sippy(daemon, tmp_path, sippy_callee_port, "--digest_auth=on", "--digest_auth_only=on") as switch:
        live, _ = switch.money()

        call_id = switch.call(
            "caller_proves_who_he_is", "callee_answers", name="2003", password="secret-2003", challenge="401"
        )
        brought, _ = switch.seconds(call_id)

        (asked,) = switch.tap.exchanges(call=call_id)
        assert asked.request.values(2) == []
        assert [reply.code for reply in asked.replies] == [ACCEPT]
        assert switch.money() == (live - price(_SOLD, brought), 0)


def test_the_rules_of_the_money_hold_after_all_calls(switch: Sippy) -> None:
    assert switch.daemon.billing("verify")["ok"]
