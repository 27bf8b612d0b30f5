"""Kamailio, a SIP proxy that speaks RADIUS by libradcli: real calls, and what they cost."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from kamailio_proxy import NUMBER, Kamailio, kamailio, price
from served import Daemon
from tap import ACCEPT, FAILED, REJECT, START, STOP

_POOR = "Kamailio's poor customer"
_SIP_FROM_TAG = 105


@pytest.fixture(scope="module")
def switch(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    """Give a Kamailio that knows its callers, and only reports their calls."""
    with kamailio(daemon, tmp_path_factory.mktemp("kamailio")) as started:
        yield started


def test_an_answered_call_costs_what_the_times_of_its_start_and_stop_say(switch: Kamailio) -> None:
    live, _, _ = switch.money()

    call_id = switch.call("caller_hangs_up", "callee_answers", seconds=2)
    charge = switch.charge(call_id)

    assert charge > 0
    assert switch.money() == (live - charge, 0, 0)
    (xdr,) = switch.xdrs(call_id)
    assert (Decimal(xdr["amount"]), xdr["state"], xdr["session_id"]) == (charge, "rated", call_id)


def test_a_call_that_the_callee_ends_is_charged_to_the_caller_once(switch: Kamailio) -> None:
    live, _, _ = switch.money()

    call_id = switch.call("caller_stays", "callee_hangs_up", seconds=2)
    charge = switch.charge(call_id)

    (stop,) = switch.tap.exchanges(status=STOP, call=call_id)
    assert (stop.request.text(1), stop.request.text(31), stop.request.text(30)) == (NUMBER, NUMBER, "2001")
    assert charge > 0
    assert switch.money() == (live - charge, 0, 0)
    (xdr,) = switch.xdrs(call_id)
    assert (Decimal(xdr["amount"]), xdr["code"], xdr["account"]) == (charge, "346", "2001")


@pytest.mark.parametrize("refusal", ["486 Busy Here", "480 Temporarily Unavailable"])
def test_a_call_that_is_not_taken_costs_nothing(switch: Kamailio, refusal: str) -> None:
    before = switch.money()

    call_id = switch.call("caller_is_refused", "callee_refuses", refusal=refusal)

    (failed,) = switch.tap.await_answers(1, status=FAILED, call=call_id)
    assert str(failed.request.number(102)) == refusal[:3]
    assert switch.money() == before
    assert [(xdr["amount"], xdr["disconnect_cause"]) for xdr in switch.xdrs(call_id)] == [
        ("0", f"SIP {refusal[:3]}")
    ]


def test_a_call_that_the_caller_cancels_costs_nothing(switch: Kamailio) -> None:
    before = switch.money()

    call_id = switch.call("caller_cancels", "callee_rings")

    switch.tap.await_answers(1, status=STOP, call=call_id)
    switch.tap.await_answers(1, status=FAILED, call=call_id)
    assert switch.money() == before
    # Nor does it wait for a clerk, as a Stop without a duration would.
    assert [(Decimal(xdr["amount"]), xdr["state"]) for xdr in switch.xdrs(call_id)] == [(0, "rated")]


def test_a_stop_whose_answer_is_lost_comes_again_and_is_charged_once(switch: Kamailio) -> None:
    live, _, _ = switch.money()

    def lose(call_id: str) -> None:
        switch.tap.await_answers(1, status=START, call=call_id)
        switch.tap.lose_answers(1, STOP)

    call_id = switch.call("caller_hangs_up", "callee_answers", seconds=2, meanwhile=lose)
    charge = switch.charge(call_id)

    (stop,) = switch.tap.exchanges(status=STOP, call=call_id)
    assert stop.times == 2
    assert switch.money() == (live - charge, 0, 0)
    assert len(switch.xdrs(call_id)) == 1


@pytest.fixture(scope="module", params=["rfc5090", "sterman"])
def asking_switch(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Kamailio]:
    """Give a Kamailio that asks the daemon before each call, with a digest in the one or the other form."""
    folder = tmp_path_factory.mktemp("kamailio")
    with kamailio(daemon, folder, request.param, "WITH_AUTH") as started:
        yield started


def test_a_caller_who_proves_himself_by_digest_is_let_in_and_charged(asking_switch: Kamailio) -> None:
    live, _, _ = asking_switch.money()
    meanwhile = []

    def look(call_id: str) -> None:
        asking_switch.tap.await_answers(1, status=START, call=call_id)
        meanwhile.append(asking_switch.money())

    call_id = asking_switch.call(
        "caller_proves_who_he_is", "callee_answers", password="secret-2001", seconds=4, meanwhile=look
    )
    charge = asking_switch.charge(call_id)

    (asked,) = asking_switch.tap.await_answers(1, status=None, call=call_id)
    (began,) = asking_switch.tap.exchanges(status=START, call=call_id)
    assert [reply.code for reply in asked.replies] == [ACCEPT]
    # What tells the conversation from others of its Call-ID is the same in the question and in the record.
    assert f"from-tag={began.request.text(_SIP_FROM_TAG)}" in asked.request.vendor_texts()
    # Two hours, the longest call that is allowed, are set aside while the call is up.
    assert meanwhile == [(live, price(7200), 1)]
    assert asking_switch.money() == (live - charge, 0, 0)
    assert [Decimal(xdr["amount"]) for xdr in asking_switch.xdrs(call_id)] == [charge]


@pytest.mark.parametrize(
    ("name", "password", "number", "reason"),
    [
        ("2001", "not his", NUMBER, "Wrong password"),
        ("nobody", "secret-2001", NUMBER, "Unknown account"),
        ("2001", "secret-2001", "999123", "No rate for this destination"),
    ],
)
def test_a_caller_who_is_refused_hears_403_and_nothing_is_set_aside(
    asking_switch: Kamailio, name: str, password: str, number: str, reason: str
) -> None:
    before = asking_switch.money()

    call_id = asking_switch.phones.call(
        "caller_proves_in_vain", None, number=number, name=name, password=password, refusal="403 Forbidden"
    )

    (asked,) = asking_switch.tap.await_answers(1, status=None, call=call_id)
    assert [(reply.code, reply.text(18)) for reply in asked.replies] == [(REJECT, reason)]
    assert asking_switch.money() == before


def test_money_for_three_seconds_cuts_the_call(asking_switch: Kamailio) -> None:
    live, _, _ = asking_switch.money(_POOR)
    # What an earlier call took is paid, so that there are three seconds again.
    if live:
        asking_switch.daemon.billing("payment", _POOR, str(-live))

    call_id = asking_switch.phones.call(
        "caller_proves_and_stays", "callee_answers", number=NUMBER, name="2002", password="secret-2002"
    )

    # Its two BYEs make two Stops. Its timer ticks by seconds and its times are whole ones: three may look
    # like one more or less.
    asking_switch.tap.await_answers(2, status=STOP, call=call_id)
    charge = max(asking_switch.charges(call_id))
    assert charge in [price(seconds) for seconds in (2, 3, 4)]
    assert asking_switch.money(_POOR) == (-charge, 0, 0)
    (asked,) = asking_switch.tap.exchanges(call=call_id)
    assert asked.replies[0].text(225) == "session_max_time#3"
    assert [Decimal(xdr["amount"]) for xdr in asking_switch.xdrs(call_id)] == [charge]


def test_a_registration_is_accepted_without_a_limit_and_sets_nothing_aside(asking_switch: Kamailio) -> None:
    before = asking_switch.money()

    call_id = asking_switch.call("caller_registers", None, password="secret-2001")

    (asked,) = asking_switch.tap.await_answers(1, status=None, call=call_id)
    (accepted,) = asked.replies
    assert accepted.code == ACCEPT
    assert accepted.number(27) is None
    assert not any("credit-time" in text for text in accepted.vendor_texts())
    assert asking_switch.money() == before


def test_the_rules_of_the_money_hold_after_all_calls(switch: Kamailio) -> None:
    assert switch.daemon.billing("verify")["ok"]
