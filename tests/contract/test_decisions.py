"""What was decided is written in the turn that decides, on either storage, and stays as it was."""

from datetime import datetime
from typing import Any

import pytest
from calls import ALICE, NOON, Password, at, report, request, start, stop
from worlds import BOB, World, audit

from billing_core import decision
from billing_core.denial import Denial
from billing_core.report import Kind
from billing_core.session import Leg, Session


def ask(world: World, *asked: Any, now: datetime = NOON) -> None:
    world.charging().handle(asked, now)


def session(world: World, leg_key: bytes) -> Session:
    return world.state().sessions[leg_key, 0]


def test_a_refused_call_leaves_a_record_and_nothing_else(world: World) -> None:
    asked = request("bob's", name="bob", called="7095", calling="555")

    ask(world, asked)

    [refusal] = world.state().refusals
    assert (refusal.at, refusal.nas, refusal.leg_key) == (NOON, "gw", asked.leg_key)
    assert (refusal.call_id, refusal.session_id) == ("bob's", "session of bob's")
    assert (refusal.client_id, refusal.account_id, refusal.reason) == (BOB.id, 30, Denial.NO_RATE)
    assert (refusal.calling, refusal.called) == ("555", "7095")
    assert world.state().sessions == {}
    audit(world.state())


def test_every_refusal_of_a_batch_is_kept_in_order(world: World) -> None:
    strange = [request(f"call-{n}", name=f'O"Br{{i}}en\\ {n}') for n in range(3)]
    wrong = request("wrong", credential=Password("guess"))

    ask(world, *strange, request("fine"), wrong)

    found = world.state().refusals
    assert [item.call_id for item in found] == ["call-0", "call-1", "call-2", "wrong"]
    assert [item.client_id for item in found] == [None, None, None, ALICE.id]
    assert decision.read(found[1].facts)["name"] == 'O"Br{i}en\\ 1'


def test_the_money_that_a_refusal_saw_is_what_the_calls_before_it_left(world: World) -> None:
    ask(world, request("first", name="bob"), request("second", name="bob"))

    [refusal] = world.state().refusals
    facts = decision.read(refusal.facts)
    assert refusal.reason is Denial.TOO_LITTLE or refusal.reason is Denial.NO_MONEY
    assert (facts["live"], facts["reserved"], facts["usable"]) == ("1.5", "1.5", "0")
    assert facts["capacity"]["account"] == [2, 1]


def test_an_accepted_call_keeps_its_decision_to_the_end(world: World) -> None:
    asked = request("long")
    ask(world, asked)
    kept = session(world, asked.leg_key).decision

    ask(world, start("long"), now=at(1))
    ask(world, stop(60, "long"), now=at(61))

    assert kept is not None
    assert decision.read(kept)["seconds"] > 0
    assert session(world, asked.leg_key).decision == kept


def test_a_repeated_authorization_replaces_the_decision(world: World) -> None:
    asked = request("again")
    ask(world, asked)

    ask(world, asked, now=at(5))

    assert decision.read(session(world, asked.leg_key).decision)["at"] == "2026-03-02T12:00:05Z"


@pytest.mark.parametrize("leg", [Leg.ORIGINATION, Leg.TERMINATION])
def test_a_leg_of_nobody_keeps_what_may_tell_its_client_later(world: World, leg: Leg) -> None:
    told = report(
        Kind.STOP,
        "strange",
        leg,
        name="nobody",
        ip="198.51.100.99",
        calling="5",
        session_seconds=9,
        termination_address="203.0.113.99" if leg is Leg.TERMINATION else None,
    )
    ask(world, told)

    kept = decision.unrecognised(session(world, told.leg_keys[0]).decision)

    address = "203.0.113.99" if leg is Leg.TERMINATION else None
    assert kept == decision.Unrecognised("nobody", "198.51.100.99", address)
