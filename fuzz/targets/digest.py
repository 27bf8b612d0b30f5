"""Digest credentials in both forms. The first octet says what the rest is.

Odd: the value of one Digest-Attributes. Even: attributes, whose numbers are turned into those of a digest.
"""

from fuzz.targets.packets import AUTHENTICATOR, SECRET, attributes_in, joined
from radiusd import digest, wire
from radiusd.challenge import called_for, nonce_age_seconds
from radiusd.codec import Attributes
from radiusd.credentials import credential_of
from radiusd.nas import Nas
from radiusd.wire import Code, Frame, Port

_NUMBERS = (1, 2, 3, 60, *range(103, 123), 206, 207)
_DRAFT_ATTRIBUTES = 207
_NOW_SECONDS = 1_795_435_200
_NAS = Nas("gw", (), SECRET, "sippy")
_PASSWORDS = ("", "secret", "p\u00e4ss")


def check(octets: bytes) -> None:
    """Read a digest, and prove with it what it proves."""
    frame = _frame(octets)
    if frame is None:
        return
    parts = digest.parts_of(frame)
    if parts is not None:
        _check_parts(parts)
        if octets[0] & 1:
            _check_draft(parts, octets[1:254])
    credential = credential_of(Attributes(frame.attributes), frame, SECRET)
    if credential is not None:
        assert sum(credential.proves(password) for password in _PASSWORDS) <= 1, (
            "two passwords prove one thing"
        )
    challenged = called_for(parts, _NAS, AUTHENTICATOR, _NOW_SECONDS) if parts is not None else None
    if challenged is not None:
        reply = wire.reply(Code.ACCESS_CHALLENGE, frame, challenged, SECRET)
        assert isinstance(reply, bytes), reply
        assert wire.verify_reply(reply, AUTHENTICATOR, SECRET)


def _frame(octets: bytes) -> Frame | None:
    if not octets:
        return None
    if octets[0] & 1:
        sent = [(_DRAFT_ATTRIBUTES, octets[1:254]), (206, b"0" * 32), (1, b"bob")]
    else:
        sent = [(_NUMBERS[kind % len(_NUMBERS)], value) for kind, value in attributes_in(octets[1:])]
    datagram = wire.request(Code.ACCESS_REQUEST, 1, joined(sent), SECRET, authenticator=AUTHENTICATOR)
    frame = wire.parse(datagram, Port.AUTHENTICATION)
    assert isinstance(frame, Frame), frame
    return frame


def _check_parts(parts: digest.Parts) -> None:
    for name in (None, "bob", parts.get(digest.USER_NAME, b"").decode("utf-8", "backslashreplace")):
        credential = digest.digest_credential(parts, name)
        if credential is None:
            continue
        for password in _PASSWORDS:
            proof = credential.response_auth(password)
            assert proof is None or len(proof) == 32
    age = nonce_age_seconds(parts.get(digest.NONCE, b""), SECRET, _NOW_SECONDS)
    assert age is None, "somebody has signed a nonce in our place"


def _check_draft(parts: digest.Parts, value: bytes) -> None:
    """Compare with a reader that goes from length to length, and believes all of it or nothing."""
    told: list[tuple[int, bytes]] = []
    rest = value
    while len(rest) >= 2 and 2 <= rest[1] <= len(rest):
        told.append((rest[0], rest[2 : rest[1]]))
        rest = rest[rest[1] :]
    known = [(number, text) for number, text in told if 1 <= number <= 10] if not rest else []
    once = [text for number, text in known if [each for each, _ in known].count(number) == 1]
    assert sorted(once) == sorted(text for kind, text in parts.items() if kind != digest.RESPONSE)
