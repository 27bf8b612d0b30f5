"""PAP and CHAP: the password proves, and nothing else does."""

from hashlib import md5
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyrad.packet import AuthPacket

from radiusd.codec import Attributes, encode
from radiusd.credentials import (
    ChapCredential,
    Credential,
    PapCredential,
    UnusableCredential,
    credential_of,
    hide_password,
    unchecked_proof,
)
from radiusd.wire import Code, Frame, Port, parse, request

RFC_PACKETS = Path(__file__).parent.parent / "vectors" / "rfc_packets.txt"
SECRET = b"xyzzy5461"
AUTHENTICATOR = bytes(range(16))

passwords = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1).filter(
    lambda text: len(text.encode()) <= 128
)


def asked(attributes: bytes) -> Frame:
    raw = request(Code.ACCESS_REQUEST, 1, attributes, SECRET, authenticator=AUTHENTICATOR)
    frame = parse(raw, Port.AUTHENTICATION)
    assert isinstance(frame, Frame), frame
    return frame


def credential(attributes: bytes) -> Credential | None:
    frame = asked(attributes)
    return credential_of(Attributes(frame.attributes), frame, SECRET)


def of_vendor(vendor: int, *parts: tuple[int, bytes]) -> bytes:
    inner = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in parts)
    return bytes((26, len(inner) + 6)) + vendor.to_bytes(4) + inner


def pap(password: str) -> bytes:
    return encode("User-Password", hide_password(password, AUTHENTICATOR, SECRET))


def chap(password: str, challenge: bytes = AUTHENTICATOR, identifier: int = 7) -> bytes:
    response = md5(bytes((identifier,)) + password.encode() + challenge).digest()
    return encode("CHAP-Password", bytes((identifier,)) + response)


def test_a_request_without_password_carries_no_credential() -> None:
    assert credential(encode("User-Name", "alice")) is None


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("RFC 2865 7.1", PapCredential),
        ("RFC 2865 7.2", ChapCredential),
        ("RFC 2865 7.3", PapCredential),
        ("RFC 2865 7.3 (2)", PapCredential),
    ],
)
def test_passwords_of_the_rfc_examples_are_proven(section: str, kind: type[Credential]) -> None:
    example = dict(
        [cell.strip() for cell in line.split("|")][1:]
        for line in RFC_PACKETS.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"{section} |")
    )
    raw = bytes.fromhex(example["request"])
    if section == "RFC 2865 7.3 (2)":
        raw = raw[:58] + bytes((10,)) + raw[59:]  # The misprinted length of State, mended.
    frame = parse(raw, Port.AUTHENTICATION)
    assert isinstance(frame, Frame), frame
    found = credential_of(Attributes(frame.attributes), frame, SECRET)

    assert isinstance(found, kind)
    assert found.proves(example["password"])
    assert not found.proves(example["password"] + " ")


@given(passwords)
@example("p" * 128)
@example("пароль")
def test_pap_proves_the_password_that_was_hidden(password: str) -> None:
    found = credential(pap(password))

    assert found == PapCredential(password.encode())
    assert found.proves(password)


@given(passwords)
def test_a_password_is_hidden_as_pyrad_hides_it(password: str) -> None:
    packet = AuthPacket(secret=SECRET, authenticator=AUTHENTICATOR)

    assert hide_password(password, AUTHENTICATOR, SECRET) == packet.PwCrypt(password)


@given(passwords, passwords)
def test_no_other_password_is_proven(password: str, other: str) -> None:
    for attributes in (pap(password), chap(password)):
        found = credential(attributes)

        assert found is not None
        assert found.proves(other) is (other == password)


@given(passwords, st.binary(min_size=1, max_size=250))
def test_chap_proves_against_the_challenge_that_was_sent_p_083(password: str, challenge: bytes) -> None:
    found = credential(chap(password, challenge) + encode("CHAP-Challenge", challenge))

    assert isinstance(found, ChapCredential)
    assert found.proves(password)


def test_chap_takes_a_password_with_its_spaces_y_20() -> None:
    found = credential(chap(" sec ret "))

    assert found is not None
    assert [found.proves(password) for password in (" sec ret ", "sec ret", " sec ret")] == [
        True,
        False,
        False,
    ]


def test_an_empty_chap_challenge_counts_as_none() -> None:
    found = credential(chap("secret") + bytes((60, 2)))

    assert found is not None
    assert found.proves("secret")


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("secret ", "secret"),
        ("Secret", "secret"),
        ("secret", " secret"),
        ("se\0cret", "secret"),
        ("cafe\N{COMBINING ACUTE ACCENT}", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
    ],
)
def test_passwords_are_compared_octet_by_octet(sent: str, stored: str) -> None:
    for attributes in (pap(sent), chap(sent)):
        found = credential(attributes)

        assert found is not None
        assert found.proves(sent)
        assert not found.proves(stored)


def test_octets_that_are_no_text_are_not_skipped() -> None:
    assert not PapCredential(b"se\xffcret").proves("secret")


def test_trailing_nul_octets_are_padding() -> None:
    assert credential(pap("secret\0\0")) == PapCredential(b"secret")


@pytest.mark.parametrize("size", [0, 1, 15, 17, 33, 144, 253])
def test_a_user_password_of_a_size_no_client_makes_proves_nothing(size: int) -> None:
    assert credential(bytes((2, size + 2)) + bytes(size)) == UnusableCredential()


@pytest.mark.parametrize("size", [0, 1, 16, 18, 253])
def test_a_chap_password_of_any_size_but_17_proves_nothing(size: int) -> None:
    assert credential(bytes((3, size + 2)) + bytes(size)) == UnusableCredential()


@pytest.mark.parametrize(
    "attributes",
    [pap("secret") + chap("secret"), pap("secret") * 2, chap("secret") * 2],
    ids=["PAP and CHAP", "PAP twice", "CHAP twice"],
)
def test_more_than_one_proof_is_none(attributes: bytes) -> None:
    found = credential(attributes)

    assert found == UnusableCredential()
    assert not found.proves("secret")
    assert not found.proves("")


@given(st.binary(max_size=253), st.binary(max_size=253))
def test_no_octets_are_too_strange_for_a_verdict(password: bytes, challenge: bytes) -> None:
    for kind in (2, 3):
        found = credential(
            bytes((kind, len(password) + 2)) + password + bytes((60, len(challenge) + 2)) + challenge
        )

        assert found is not None
        assert not found.proves("a password nobody has hidden in there")


def test_a_password_is_not_shown_where_a_credential_is_printed() -> None:
    assert "secret" not in repr(PapCredential(b"secret"))


def test_a_password_too_long_for_the_attribute_is_refused() -> None:
    with pytest.raises(ValueError, match="129 octets; User-Password holds 128"):
        hide_password("p" * 129, AUTHENTICATOR, SECRET)


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        (bytes((17, 3, 1)), "Old-Password"),
        (bytes((70, 18)) + bytes(16), "ARAP-Password"),
        (bytes((74, 3, 1)), "ARAP-Security-Data"),
        (bytes((79, 3, 1)), "EAP-Message"),
        (bytes((79, 2)), "EAP-Message"),
        (of_vendor(9, (249, b"x")), "Cisco-Subscriber-Password"),
        (of_vendor(193, (14, b"x")), "Ericsson-ViG-Digest-Response"),
        (of_vendor(193, (15, b"x")), "Ericsson-ViG-Digest-Attributes"),
        (of_vendor(311, (1, bytes(50))), "MS-CHAP-Response"),
        (of_vendor(311, (3, bytes(70))), "MS-CHAP-CPW-1"),
        (of_vendor(311, (4, bytes(84))), "MS-CHAP-CPW-2"),
        (of_vendor(311, (5, b"x")), "MS-CHAP-LM-Enc-PW"),
        (of_vendor(311, (6, b"x")), "MS-CHAP-NT-Enc-PW"),
        (of_vendor(311, (19, b"x")), "MS-Old-ARAP-Password"),
        (of_vendor(311, (20, b"x")), "MS-New-ARAP-Password"),
        (of_vendor(311, (11, bytes(16)), (25, bytes(50))), "MS-CHAP2-Response"),
        (of_vendor(311, (27, bytes(68))), "MS-CHAP2-CPW"),
        (of_vendor(2011, (33, b"x")), "Huawei-User-Password"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_attribute_that_is_to_prove_the_user_is_named_where_it_is_not_checked(
    attributes: bytes, name: str
) -> None:
    assert unchecked_proof(asked(attributes)) == name
    assert unchecked_proof(asked(encode("User-Name", "alice") + attributes)) == name


@pytest.mark.parametrize("kind", [104, 105, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 207])
def test_a_digest_without_a_response_is_no_proof_that_could_be_checked(kind: int) -> None:
    part = bytes((kind, 5)) + b"abc"

    assert unchecked_proof(asked(part)) == "a digest without Digest-Response"
    for response in (103, 206):
        assert not unchecked_proof(asked(part + bytes((response, 34)) + b"a" * 32))


@pytest.mark.parametrize(
    "attributes",
    [
        b"",
        pap("secret"),
        chap("secret"),
        encode("CHAP-Challenge", b"challenge"),
        bytes((24, 4)) + b"ab",
        bytes((6, 6, 0, 0, 0, 15)),
        bytes((122, 4)) + b"ab",
        of_vendor(311, (11, bytes(16))),
        of_vendor(311, (10, b"domain")),
        of_vendor(9, (1, b"call-id=1"), (101, b"1")),
        of_vendor(10, (1, b"x"), (25, b"x")),
        bytes((26, 8)) + (311).to_bytes(4) + bytes((25, 1)),
    ],
    ids=["nothing", "PAP", "CHAP", "a challenge", "State", "Service-Type", "SIP-AOR", "MS-CHAP-Challenge",
         "MS-CHAP-Domain", "Cisco's", "another vendor's", "broken"],
)  # fmt: skip
def test_what_proves_nobody_or_is_checked_is_no_unchecked_proof(attributes: bytes) -> None:
    assert unchecked_proof(asked(attributes)) == ""
