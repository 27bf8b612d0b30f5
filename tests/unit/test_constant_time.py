"""Every proof is compared in constant time: row P-047."""

import hmac
from collections.abc import Callable

import pytest

from radiusd import challenge, credentials, digest, session_class, wire
from radiusd.challenge import nonce_age_seconds
from radiusd.credentials import ChapCredential, PapCredential
from radiusd.digest import DigestCredential
from radiusd.wire import Code, Port

SECRET = b"a secret of a NAS"
PARTS = dict.fromkeys((digest.USER_NAME, digest.REALM, digest.NONCE, digest.METHOD, digest.URI), b"x")


def forged(code: Code, port: Port, *, signed: bool) -> object:
    """Return what is said of a packet that somebody without the secret has made."""
    packet = wire.request(code, 1, b"", b"not the secret", message_authenticator=signed)
    frame = wire.parse(packet, port)
    assert isinstance(frame, wire.Frame)
    return wire.authenticate(frame, SECRET, require_message_authenticator=False, limit_proxy_state=False)


def forged_reply() -> bool:
    question = wire.request(Code.STATUS_SERVER, 1, b"", SECRET)
    frame = wire.parse(question, Port.AUTHENTICATION)
    assert isinstance(frame, wire.Frame)
    reply = wire.reply(Code.ACCESS_ACCEPT, frame, b"", b"not the secret")
    assert isinstance(reply, bytes)
    return wire.verify_reply(reply, question[4:20], SECRET)


BELIEVED: dict[str, Callable[[], object]] = {
    "a password": lambda: PapCredential(b"wrong").proves("right"),
    "an answer to a challenge": lambda: ChapCredential(1, b"challenge", b"wrong").proves("right"),
    "a digest": lambda: DigestCredential({**PARTS, digest.RESPONSE: b"wrong"}).proves("right"),
    "a nonce": lambda: nonce_age_seconds(b"0" * 48, SECRET, 0) is not None,
    "a record": lambda: forged(Code.ACCOUNTING_REQUEST, Port.ACCOUNTING, signed=False) is None,
    "a signature": lambda: forged(Code.ACCESS_REQUEST, Port.AUTHENTICATION, signed=True) is None,
    "a reply": forged_reply,
}


@pytest.mark.parametrize("proof", BELIEVED)
def test_nothing_but_a_comparison_in_constant_time_decides_p_047(
    monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    assert not BELIEVED[proof]()

    # With that comparison always true, whatever is wrong is believed: no other one looked at it.
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: True)

    assert BELIEVED[proof]()


def test_all_comparisons_are_taken_from_one_module_p_047() -> None:
    assert all(module.hmac is hmac for module in (challenge, credentials, digest, session_class, wire))
