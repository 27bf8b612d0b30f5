"""Legs that fell silent: when they are ended, when only released, and what they are charged."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from calls import NOON, SOLD, at
from hypothesis import given
from hypothesis import strategies as st

from billing_core.facts import Facts
from billing_core.limits import Limits
from billing_core.session import Leg, Session, State
from billing_core.sweep import OnSilence, closed_in_silence, expire

LIMITS = Limits(max_call_seconds=7200, silence_margin_seconds=60)
GRANTED, MARGIN = 600, 60


def leg(**fields: Any) -> Session:
    """Return a leg that was accepted at noon for ten minutes and started ten seconds later."""
    started = Session(
        leg_key=b"k" * 16,
        generation=0,
        nas="gw",
        nas_box="gw-1",
        leg=Leg.ORIGINATION,
        state=State.ACTIVE,
        call_id="call-1",
        session_id="1",
        calling="",
        called="44",
        client_id=1,
        account_id=10,
        opened_at=NOON,
        look_at=at(10 + GRANTED + MARGIN),
        last_heard_at=at(10),
        rate=SOLD,
        authorized_at=NOON,
        credit_time_seconds=GRANTED,
        reserved=Decimal(6),
    )
    return started._replace(**fields)


def looked_at(session: Session, second: float, on_silence: OnSilence = OnSilence.CHARGE_KNOWN) -> Session:
    return expire(session, on_silence, LIMITS, at(second))


def test_a_reservation_that_was_never_used_is_given_back_and_charged_nothing():
    unused = leg(state=State.RESERVED, last_heard_at=NOON, look_at=at(240))
    released = looked_at(unused, 240)

    assert (released.state, released.reserved, released.closed_at) == (State.RELEASED, 0, at(240))
    assert (released.revision, released.facts, released.estimated) == (0, Facts(), False)


def test_a_reservation_is_held_as_long_as_it_may_still_be_used():
    unused = leg(state=State.RESERVED, last_heard_at=NOON, look_at=at(240))

    assert looked_at(unused, 239) == unused


def test_a_started_leg_is_ended_when_its_grant_and_the_margin_are_over():
    before, after = looked_at(leg(), 669), looked_at(leg(), 670)

    assert before == leg()
    assert (after.state, after.closed_at, after.reserved, after.estimated) == (State.CLOSED, at(670), 0, True)


def test_a_leg_that_was_heard_of_after_its_grant_gets_another_margin():
    overrun = leg(last_heard_at=at(660))

    assert looked_at(overrun, 719).state is State.ACTIVE
    assert looked_at(overrun, 719).look_at == at(720)
    assert looked_at(overrun, 720).state is State.CLOSED


def test_an_interim_within_the_grant_does_not_lengthen_it():
    assert looked_at(leg(last_heard_at=at(590)), 670).state is State.CLOSED


def test_a_leg_that_was_never_granted_anything_may_last_as_long_as_any_call():
    unauthorized = leg(credit_time_seconds=None, authorized_at=None, look_at=at(7260), reserved=Decimal(0))

    assert looked_at(unauthorized, 7259).state is State.ACTIVE
    assert looked_at(unauthorized, 7260).state is State.CLOSED


@given(
    st.sampled_from([State.RESERVED, State.ACTIVE]),
    st.integers(0, 20_000),
    st.integers(0, 20_000),
    st.integers(0, 30_000),
    st.sampled_from(OnSilence),
)
def test_a_leg_is_never_ended_early_and_what_is_left_is_looked_at_later(state, look, heard, now, on_silence):
    session = leg(state=state, look_at=at(look), last_heard_at=at(heard))
    after = expire(session, on_silence, LIMITS, at(now))

    if after.state.is_open:
        assert after.look_at > at(now)
        assert after._replace(look_at=session.look_at) == session
    else:
        assert now >= look
        assert after.reserved == 0
        assert after.closed_at == at(now)
        if state is State.ACTIVE and heard > GRANTED:
            assert at(now) - session.last_heard_at >= timedelta(seconds=MARGIN)


# policy | known | granted | charged for
SILENCE = [
    (OnSilence.CHARGE_KNOWN, 0, 600, 0),
    (OnSilence.CHARGE_KNOWN, 250, 600, 250),
    (OnSilence.CHARGE_KNOWN, 700, 600, 700),
    (OnSilence.CHARGE_KNOWN, 250, None, 250),
    (OnSilence.CHARGE_GRANTED, 0, 600, 600),
    (OnSilence.CHARGE_GRANTED, 250, 600, 600),
    (OnSilence.CHARGE_GRANTED, 700, 600, 700),
    (OnSilence.CHARGE_GRANTED, 250, None, 250),
]


@pytest.mark.parametrize(("on_silence", "known", "granted", "charged"), SILENCE)
def test_the_switchs_policy_says_what_a_silent_leg_is_charged_for(on_silence, known, granted, charged):
    silent = leg(facts=Facts(known_seconds=known), credit_time_seconds=granted)
    closed = closed_in_silence(silent, on_silence, at(700))

    assert closed.facts == Facts(known_seconds=charged)
    assert (closed.state, closed.estimated, closed.closed_at) == (State.CLOSED, True, at(700))


def test_silence_does_not_pretend_that_the_switch_said_something():
    closed = closed_in_silence(leg(), OnSilence.CHARGE_GRANTED, at(700))

    assert not closed.facts.ended
    assert closed.last_heard_at == at(10)
