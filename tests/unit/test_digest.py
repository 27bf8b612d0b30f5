"""Digest in both forms: the examples of RFC 5090, every kind of response, and what proves nothing."""

import hashlib
from hashlib import md5

import pytest
from calls import rows

from radiusd.digest import (
    ALGORITHM,
    ALGORITHMS,
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
    unsupported,
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
    ("kind", "value", "told"),
    [
        (QOP, b"auth-conf", 'qop "auth-conf" is not checked here, only auth and auth-int are'),
        (QOP, b'"auth, auth-int"', 'qop "auth, auth-int" is not'),
        (ALGORITHM, b"SHA-1", 'algorithm "SHA-1" is none of digest_algorithms of this NAS (MD5, SHA-256'),
        (ALGORITHM, b"SHA-256-512-sess", 'algorithm "SHA-256-512-sess" is'),
        (ALGORITHM, b"-sess", 'algorithm "-sess" is'),
        (ALGORITHM, b"MD5\x1b[2J\xff", 'algorithm "MD5\\x1b[2J\\xff" is'),
        (ALGORITHM, b"x" * 200, f'algorithm "{"x" * 40}" is'),
    ],
)
def test_what_we_do_not_know_is_named_and_proves_nothing_b_037(kind, value, told):
    parts = parts_of(rfc_5090({**WITH_QOP, RESPONSE: b"0" * 32, kind: value}))

    assert digest_credential(parts, "bob") is None
    assert unsupported(parts, ALGORITHMS).startswith(f"Digest {told}")


def test_an_algorithm_that_the_nas_does_not_take_is_named_with_those_that_it_does():
    parts = parts_of(rfc_5090({**WITH_QOP, RESPONSE: b"0" * 64, ALGORITHM: b"sha-256"}))

    assert unsupported(parts, ("SHA-256",)) == ""
    assert unsupported(parts, ("MD5", "SHA-512-256")) == (
        'Digest algorithm "sha-256" is none of digest_algorithms of this NAS (MD5, SHA-512-256)'
    )
    assert unsupported(parts_of(rfc_5090({**WITH_QOP, ALGORITHM: b"SHA-1"})), ALGORITHMS) == "", "no response"


HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def hashed(algorithm, *texts):
    return hashlib.new(HASHES[algorithm], ":".join(texts).encode()).hexdigest()


@pytest.mark.parametrize("form", [rfc_5090, draft])
@pytest.mark.parametrize("is_of_session", [False, True])
@pytest.mark.parametrize(
    "write", [str, str.lower, lambda word: f'"{word}"', lambda word: f" {word.lower()} "]
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_is_checked_however_its_name_is_written(algorithm, write, is_of_session, form):
    secret = hashed(algorithm, "bob", "biloxi.com", PASSWORD)
    if is_of_session:
        secret = hashed(algorithm, secret, NONCE_TEXT, "0a4f113b")
    ends = hashed(algorithm, "INVITE", "sip:bob@biloxi.com")
    response = hashed(algorithm, secret, COUNTED, "auth", ends)
    name = write(f"{algorithm}-sess" if is_of_session else algorithm).encode()
    parts = parts_of(form({**WITH_QOP, ALGORITHM: name, RESPONSE: response.encode()}))
    credential = digest_credential(parts, "bob")

    assert unsupported(parts, ALGORITHMS) == ""
    assert credential.proves(PASSWORD)
    assert not credential.proves("wrong")
    mutual = hashed(algorithm, secret, COUNTED, "auth", hashed(algorithm, "", "sip:bob@biloxi.com"))
    assert credential.response_auth(PASSWORD).decode() == mutual


@pytest.mark.parametrize("qop", [b'"auth"', b"AUTH", b' "Auth" '])
@pytest.mark.parametrize("covered", ["auth", None], ids=["as in the challenge", "as sent"])
def test_a_qop_in_quotes_or_capitals_is_the_same(qop, covered):
    covered = covered or qop.decode().strip('" ')
    response = digest(HA1, COUNTED, covered, HA2).encode()
    credential = digest_credential(parts_of(rfc_5090({**WITH_QOP, QOP: qop, RESPONSE: response})), "bob")

    assert credential.proves(PASSWORD)
    assert not credential.proves("wrong")
    assert credential.response_auth(PASSWORD) is not None


def test_the_example_of_rfc_7616_holds():
    parts = {
        USER_NAME: b"Mufasa",
        REALM: b"http-auth@example.org",
        NONCE: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        METHOD: b"GET",
        URI: b"/dir/index.html",
        QOP: b"auth",
        ALGORITHM: b"SHA-256",
        CNONCE: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        NONCE_COUNT: b"00000001",
        RESPONSE: b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }

    assert digest_credential(parts_of(rfc_5090(parts)), "Mufasa").proves("Circle of Life")


def test_quotes_around_nothing_are_no_qop_whose_count_could_make_a_response_new():
    response = digest(HA1, NONCE_TEXT, HA2).encode()
    parts = parts_of(rfc_5090({**WITH_QOP, QOP: b'""', RESPONSE: response}))

    assert digest_credential(parts, "bob").proves(PASSWORD)
    assert not parts[QOP]


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
