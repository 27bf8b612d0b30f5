"""What gives reason to look into the settings: a wrong secret where switches do not sign, a foreign realm."""

from datetime import UTC, datetime

import pytest

from radiusd import wire
from radiusd.codec import encode
from radiusd.credentials import hide_password
from radiusd.digest import METHOD, NONCE, REALM, RESPONSE, URI, USER_NAME, attribute
from radiusd.duplicates import DuplicateCache
from radiusd.nas import Nas, NasTable, network
from radiusd.protocol import Protocol, Received
from radiusd.suspicion import UNREADABLE_IN_A_ROW, Suspicion, Suspicions
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
    said = [suspicions.of(pap(WRONG, number)) for number in range(MANY + 2)]

    assert said == [None] * (MANY - 1) + [Suspicion.SECRET_MISMATCH] * 3


@pytest.mark.parametrize(
    ("secret", "signed"), [(SECRET, False), (WRONG, True)], ids=["one that is text", "signatures"]
)
def test_a_secret_that_is_seen_to_be_right_is_not_suspected_b_035(secret: bytes, signed: bool) -> None:
    suspicions = Suspicions()
    said = [
        suspicions.of(pap(secret if number == MANY - 1 else WRONG, number, signed=signed))
        for number in range(2 * MANY - 1)
    ]

    assert said == [None] * (2 * MANY - 1)


def test_a_realm_of_another_switch_is_looked_into_b_037() -> None:
    parts = {USER_NAME: b"bob", NONCE: b"n", METHOD: b"INVITE", URI: b"sip:1@x", RESPONSE: b"0" * 32}
    foreign, own = (
        received(b"".join(attribute(kind, value) for kind, value in {**parts, REALM: realm}.items()))
        for realm in (b"other.example", b"sip.example")
    )

    assert (Suspicions().of(foreign), Suspicions().of(own)) == (Suspicion.FOREIGN_REALM, None)
