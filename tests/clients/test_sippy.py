"""Sippy B2BUA, a softswitch that asks RADIUS for leave, route and limit: real calls, and what they cost."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from served import Daemon
from sippy_b2bua import CLIENT, Sippy, price, sippy
from tap import ACCEPT, ALIVE, REJECT, START, STOP

_POOR_ADDRESS = "127.0.0.31"
_STRANGE_ADDRESS = "127.0.0.41"
_POOR, _VENDOR = "Sippy's poor customer", "Sippy's vendor"
_SOLD, _BOUGHT = Decimal("0.0650"), Decimal("0.0290")


@pytest.fixture(scope="module")
def switch(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory, sippy_callee_port: int
) -> Iterator[Sippy]:
    """Give a B2BUA that knows callers by their addresses, and reports each second that a call goes on."""
    options = ("-D", "--alive_acct_int=1")
    with sippy(daemon, tmp_path_factory.mktemp("sippy"), sippy_callee_port, *options) as started:
        yield started


def test_the_caller_pays_for_his_leg_and_the_vendor_is_owed_for_the_other(switch: Sippy) -> None:
    (live, _), (owed, _) = switch.money(), switch.money(_VENDOR)

    call_id = switch.call("caller_hangs_up", "callee_answers", seconds=2)
    brought, sent = switch.seconds(call_id)

    assert brought >= 2
    assert switch.money() == (live - price(_SOLD, brought), 0)
    assert switch.money(_VENDOR) == (owed + price(_BOUGHT, sent), 0)
    assert switch.xdrs(call_id) == {
        "origination": (price(_SOLD, brought), CLIENT),
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
