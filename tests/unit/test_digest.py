"""Digest in both forms: the examples of RFC 5090, every kind of response, and what proves nothing."""

from hashlib import md5

import pytest
from calls import rows

from radiusd.digest import (
    ALGORITHM,
    BODY_HASH,
    CNONCE,
    METHOD,
    NONCE,
    NONCE_COUNT,
    QOP,
    REALM,
    RESPONSE,
    URI,
    USER_NAME,
    attribute,
    digest_credential,
    parts_of,
)
from radiusd.wire import Code, DropReason, Frame, Port, parse, request

SECRET = b"a secret of a NAS"
PASSWORD = "zanzibar"
PLAIN = {
    USER_NAME: b"bob",
    REALM: b"biloxi.com",
    NONCE: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
    METHOD: b"INVITE",
    URI: b"sip:bob@biloxi.com",
}
WITH_QOP = {**PLAIN, QOP: b"auth", CNONCE: b"0a4f113b", NONCE_COUNT: b"00000001"}
DRAFT_NUMBERS = {
    number: place
    for place, number in enumerate(
        (REALM, NONCE, METHOD, URI, QOP, ALGORITHM, BODY_HASH, CNONCE, NONCE_COUNT, USER_NAME), 1
    )
}


def digest(*texts: str) -> str:
    return md5(":".join(texts).encode()).hexdigest()


# user:realm:password, then what each kind adds, written out by hand from RFC 2617 section 3.2.2.
HA1 = digest("bob", "biloxi.com", PASSWORD)
HA2 = digest("INVITE", "sip:bob@biloxi.com")
NONCE_TEXT = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
COUNTED = f"{NONCE_TEXT}:00000001:0a4f113b"
KINDS = {
    "no qop": (PLAIN, digest(HA1, NONCE_TEXT, HA2)),
    "auth": (WITH_QOP, digest(HA1, COUNTED, "auth", HA2)),
    "auth-int": (
        {**WITH_QOP, QOP: b"auth-int", BODY_HASH: b"c1ed018b8ec4a3b170c0921f5b564e48"},
        digest(
            HA1,
            COUNTED,
            "auth-int",
            digest("INVITE", "sip:bob@biloxi.com", "c1ed018b8ec4a3b170c0921f5b564e48"),
        ),
    ),
    "MD5-sess": (
        {**WITH_QOP, ALGORITHM: b"MD5-sess"},
        digest(digest(HA1, NONCE_TEXT, "0a4f113b"), COUNTED, "auth", HA2),
    ),
}


def framed(attributes: bytes) -> Frame:
    frame = parse(request(Code.ACCESS_REQUEST, 7, attributes, SECRET), Port.AUTHENTICATION)
    assert not isinstance(frame, DropReason)
    return frame


def rfc_5090(parts: dict[int, bytes]) -> Frame:
    return framed(b"".join(attribute(kind, value) for kind, value in parts.items()))


def draft(parts: dict[int, bytes]) -> Frame:
    rest = dict(parts)
    response = attribute(206, rest.pop(RESPONSE))
    packed = [attribute(207, attribute(DRAFT_NUMBERS[kind], value)) for kind, value in rest.items()]
    return framed(response + b"".join(packed))


@pytest.mark.parametrize(("packet", "name", "password", "response_auth"), rows("digest.txt"))
def test_the_examples_of_rfc_5090_hold_both_ways_p_084(packet, name, password, response_auth):
    frame = parse(bytes.fromhex(packet), Port.AUTHENTICATION)
    credential = digest_credential(parts_of(frame), name)

    assert credential.proves(password)
    assert not credential.proves(password + "x")
    assert credential.response_auth(password).decode() == response_auth


@pytest.mark.parametrize("form", [rfc_5090, draft])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_response_is_understood_in_both_forms_p_085_p_086(form, kind):
    parts, response = KINDS[kind]
    credential = digest_credential(parts_of(form({**parts, RESPONSE: response.encode()})), "bob")

    assert credential.proves(PASSWORD)
    assert not credential.proves("wrong")


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_to_other_words_proves_nothing(kind):
    parts, response = KINDS[kind]
    for changed in parts.keys() - {QOP, ALGORITHM}:
        # The name is checked against User-Name, the others are hashed.
        name = "alice" if changed == USER_NAME else "bob"
        other = {**parts, RESPONSE: response.encode(), changed: b"alice"}
        credential = digest_credential(parts_of(rfc_5090(other)), name)

        assert not credential.proves(PASSWORD), changed


@pytest.mark.parametrize("missing", [RESPONSE, REALM, NONCE, METHOD, URI, USER_NAME, CNONCE, NONCE_COUNT])
def test_without_a_needed_part_there_is_no_proof_b_037(missing):
    parts = {**WITH_QOP, RESPONSE: b"0" * 32}
    del parts[missing]

    assert digest_credential(parts_of(rfc_5090(parts)), "bob") is None


@pytest.mark.parametrize(
    ("kind", "value"), [(QOP, b"auth-conf"), (ALGORITHM, b"SHA-512-256"), (ALGORITHM, b"md5")]
)
def test_what_we_do_not_know_proves_nothing_b_037(kind, value):
    parts = {**WITH_QOP, RESPONSE: b"0" * 32, kind: value}

    assert digest_credential(parts_of(rfc_5090(parts)), "bob") is None


@pytest.mark.parametrize(
    ("name", "is_proof"),
    [("bob", True), ("bob@biloxi.com", True), ("alice", False), ("bob@other.com", False), (None, False)],
)
def test_a_digest_is_of_the_account_that_is_named(name, is_proof):
    parts, response = KINDS["auth"]
    found = digest_credential(parts_of(rfc_5090({**parts, RESPONSE: response.encode()})), name)

    assert (found is not None) == is_proof


def test_a_part_given_twice_is_no_part():
    parts, response = KINDS["no qop"]
    sent = [*parts.items(), (RESPONSE, response.encode()), (NONCE, b"another")]
    twice = framed(b"".join(attribute(kind, value) for kind, value in sent))

    assert digest_credential(parts_of(twice), "bob") is None


@pytest.mark.parametrize("broken", [b"\x01", b"\x01\x00", b"\x01\x01", b"\x01\xffab", b"\x02\x04ab\x03"])
def test_broken_sub_attributes_are_as_if_absent_b_038(broken):
    assert not parts_of(framed(attribute(206, b"0" * 32) + attribute(207, broken))).keys() & {REALM, NONCE}


def test_a_request_without_digest_has_no_parts():
    assert parts_of(framed(attribute(1, b"bob"))) is None
