"""What gives reason to look into the settings: a wrong secret, a foreign realm, a wrong unit of durations."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from billing_core.report import Kind
from radiusd import wire
from radiusd.codec import encode
from radiusd.credentials import hide_password
from radiusd.dialects.dialect import Unit
from radiusd.digest import METHOD, NONCE, REALM, RESPONSE, URI, USER_NAME, attribute
from radiusd.duplicates import DuplicateCache
from radiusd.nas import Nas, NasTable, network
from radiusd.protocol import Protocol, Received
from radiusd.rare_lines import RareLines
from radiusd.suspicion import (
    THOUSANDFOLD_IN_A_ROW,
    UNREADABLE_IN_A_ROW,
    Suspicion,
    Suspicions,
    is_thousandfold,
    possible_seconds,
)
from radiusd.wire import Code, Port

SECRET, WRONG = b"the secret of this NAS", b"what the switch has"
NAS = Nas(
    "gw",
    (network("10.0.0.1"),),
    SECRET,
    "cisco",
    require_message_authenticator=False,
    realms=("sip.example",),
)
PROTOCOL = Protocol(NasTable([NAS]), DuplicateCache())
MANY = UNREADABLE_IN_A_ROW
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def received(attributes: bytes, *, signed: bool = False, authenticator: bytes = bytes(16)) -> Received:
    packet = wire.request(
        Code.ACCESS_REQUEST, 1, attributes, SECRET, authenticator=authenticator, message_authenticator=signed
    )
    now = datetime.now(UTC)
    # Each comes by a socket of its own, so none is a copy.
    told = PROTOCOL.receive(packet, ("10.0.0.1", 1812), Port.AUTHENTICATION, object(), now, 0.0)
    assert isinstance(told, Received)
    return told


def pap(secret: bytes, number: int, *, signed: bool = False) -> Received:
    authenticator = bytes((number,)) * 16
    covered = encode("User-Password", hide_password("secret", authenticator, secret))
    return received(encode("User-Name", "alice") + covered, signed=signed, authenticator=authenticator)


def test_passwords_that_are_no_text_come_from_another_secret_when_there_are_many_b_035() -> None:
    suspicions = Suspicions()
    said = [suspicions.of(pap(WRONG, number), NOW) for number in range(MANY + 2)]

    assert said == [None] * (MANY - 1) + [Suspicion.SECRET_MISMATCH] * 3


@pytest.mark.parametrize(
    ("secret", "signed"), [(SECRET, False), (WRONG, True)], ids=["one that is text", "signatures"]
)
def test_a_secret_that_is_seen_to_be_right_is_not_suspected_b_035(secret: bytes, signed: bool) -> None:
    suspicions = Suspicions()
    said = [
        suspicions.of(pap(secret if number == MANY - 1 else WRONG, number, signed=signed), NOW)
        for number in range(2 * MANY - 1)
    ]

    assert said == [None] * (2 * MANY - 1)


def test_a_realm_of_another_switch_is_looked_into_b_037() -> None:
    parts = {USER_NAME: b"bob", NONCE: b"n", METHOD: b"INVITE", URI: b"sip:1@x", RESPONSE: b"0" * 32}
    foreign, own = (
        received(b"".join(attribute(kind, value) for kind, value in {**parts, REALM: realm}.items()))
        for realm in (b"other.example", b"sip.example")
    )

    assert (Suspicions().of(foreign, NOW), Suspicions().of(own, NOW)) == (Suspicion.FOREIGN_REALM, None)


# --- durations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "possible", "is_so"),
    [
        (61_500, 62, True),
        (61_500, 61.5, True),
        (61_500, 0, False),  # a minute that no clock saw: another fault
        (5_000, 60, True),  # it rang most of the time
        (500, 60, False),
        (900, 0, True),
        (7_200, 7_199, False),
        (43_201, 1, False),
        (0, 0, False),
        (900, -5, True),
    ],
)
def test_a_duration_is_thousandfold_if_milliseconds_explain_it_and_seconds_do_not(
    told: int, possible: float, is_so: bool
) -> None:
    assert is_thousandfold(told, possible) is is_so


def stop(seconds: int, *, connect_ago: float | None, disconnect_ago: float | None = None) -> Received:
    """Return a Stop as a switch sends it whose clock agrees with ours."""
    dates = [
        encode(f"h323-{name}-time", f"{(NOW - timedelta(seconds=ago)).timestamp():.0f}")
        for name, ago in (("connect", connect_ago), ("disconnect", disconnect_ago))
        if ago is not None
    ]
    numbers = {"Acct-Status-Type": 2, "Acct-Session-Time": seconds}
    attributes = [encode("Acct-Session-Id", "1"), *dates]
    attributes += [encode(name, number) for name, number in numbers.items()]
    packet = wire.request(Code.ACCOUNTING_REQUEST, 1, b"".join(attributes), SECRET)
    told = PROTOCOL.receive(packet, ("10.0.0.1", 1813), Port.ACCOUNTING, object(), NOW, 0.0)
    assert isinstance(told, Received)
    return told


def test_a_switch_that_counts_milliseconds_is_suspected_after_some_of_its_records_b_072() -> None:
    suspicions = Suspicions()
    said = [
        suspicions.of(stop(61_500, connect_ago=62, disconnect_ago=0.5), NOW)
        for _ in range(THOUSANDFOLD_IN_A_ROW + 1)
    ]

    assert said == [None] * (THOUSANDFOLD_IN_A_ROW - 1) + [Suspicion.THOUSANDFOLD] * 2


@pytest.mark.parametrize(
    ("other", "suspected"),
    [
        (stop(60, connect_ago=60), False),  # true in seconds
        (stop(0, connect_ago=60), True),  # true in any unit
        (stop(60_000, connect_ago=None), True),  # nothing tells what can be true
    ],
    ids=["seconds", "nothing", "no dates"],
)
def test_only_a_duration_that_is_true_in_seconds_takes_the_suspicion_away(
    other: Received, suspected: bool
) -> None:
    suspicions = Suspicions()
    records = [stop(61_500, connect_ago=62)] * (THOUSANDFOLD_IN_A_ROW - 1)
    said = [suspicions.of(record, NOW) for record in (*records, other, records[0])]

    assert (said[-1] is Suspicion.THOUSANDFOLD) is suspected


def test_a_switch_that_is_known_to_count_milliseconds_is_not_suspected() -> None:
    record = stop(61_500, connect_ago=62)
    record = record._replace(nas=replace(NAS, differs={"duration_unit": Unit.MILLISECONDS}))
    suspicions = Suspicions()

    assert {suspicions.of(record, NOW) for _ in range(2 * THOUSANDFOLD_IN_A_ROW)} == {None}


def test_a_switch_whose_clock_is_wrong_is_not_suspected() -> None:
    hours_ahead = stop(900, connect_ago=-6300, disconnect_ago=-7200)
    behind = stop(900, connect_ago=8100, disconnect_ago=7200)
    suspicions = Suspicions()

    assert {suspicions.of(record, NOW) for record in [hours_ahead, behind] * THOUSANDFOLD_IN_A_ROW} == {None}


def test_an_end_that_is_reckoned_from_the_duration_proves_nothing() -> None:
    request = stop(61_500, connect_ago=62, disconnect_ago=-61_438).request

    assert request.kind is Kind.STOP
    assert possible_seconds(request, NOW) == 62


def test_the_line_names_the_setting() -> None:
    with capture_logs() as written:
        RareLines().note("gw", "10.0.0.1", Suspicion.THOUSANDFOLD, 0.0)

    [line] = written
    assert (line["event"], line["log_level"], line["reason"]) == ("suspicious", "warning", "thousandfold")
    assert 'duration_unit = "ms"' in line["advice"]
