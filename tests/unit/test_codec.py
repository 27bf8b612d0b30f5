"""Attributes by name, proven against pyrad's own encoding and decoding."""

from ipaddress import IPv6Address
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyrad.dictionary import Dictionary
from pyrad.packet import Packet

from radiusd.codec import (
    STANDARD_FILES,
    Attributes,
    Definition,
    DictionaryError,
    Kind,
    dictionary_directory,
    encode,
    load,
    standard,
)
from radiusd.wire import VENDOR_SPECIFIC

PYRAD = Dictionary(*(str(dictionary_directory() / name) for name in STANDARD_FILES))
DEFINITIONS = list(standard().by_name.values())
NUMBERS = (Kind.INTEGER, Kind.DATE)
ADDRESSES = (Kind.ADDRESS, Kind.IPV6_ADDRESS)


def vendor_specific(*parts: tuple[int, bytes], vendor: int = 9) -> tuple[int, bytes]:
    inner = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in parts)
    return VENDOR_SPECIFIC, vendor.to_bytes(4) + inner


def pyrad_packet(definition: Definition, value: str | int | bytes) -> Packet:
    """Let pyrad encode a value; octets by number, because given a name it rewrites some of them."""
    packet = Packet(dict=PYRAD)
    if definition.kind is Kind.OCTETS:
        packet[definition.type] = [value]
    else:
        packet[definition.name] = value
    return packet


def values_of(definition: Definition) -> st.SearchStrategy[str | int | bytes]:
    limit = 247 if definition.vendor else 253
    text = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=limit)
    by_kind: dict[Kind, st.SearchStrategy[str | int | bytes]] = {
        Kind.TEXT: text.filter(lambda value: len(value.encode()) <= limit),
        Kind.OCTETS: st.binary(min_size=1, max_size=limit),
        Kind.INTEGER: st.integers(0, 2**32 - 1),
        Kind.DATE: st.integers(0, 2**32 - 1),
        Kind.ADDRESS: st.ip_addresses(v=4).map(str),
        Kind.IPV6_ADDRESS: st.ip_addresses(v=6).map(str),
    }
    return by_kind[definition.kind]


named_values = st.sampled_from(DEFINITIONS).flatmap(
    lambda definition: st.tuples(st.just(definition), values_of(definition))
)
pairs = st.tuples(st.integers(1, 255), st.binary(max_size=40))
vendor_pairs = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=30)), max_size=4).map(
    lambda parts: vendor_specific(*parts)
)
broken_vendor_pairs = st.binary(max_size=40).map(lambda value: (VENDOR_SPECIFIC, b"\0\0\0\x09" + value))
packets = st.lists(pairs | vendor_pairs | broken_vendor_pairs, max_size=12)


def test_every_kind_of_value_occurs_in_our_dictionary() -> None:
    assert {definition.kind for definition in DEFINITIONS} == set(Kind)


@given(named_values)
@example((standard().by_name["Class"], b"0x4142"))
@example((standard().by_name["Proxy-State"], b"65"))
def test_an_attribute_is_encoded_as_pyrad_encodes_it(named: tuple[Definition, str | int | bytes]) -> None:
    definition, value = named

    assert encode(definition.name, value) == pyrad_packet(definition, value)._PktEncodeAttributes()


@given(packets)
@example([vendor_specific((1, b"a=b"), (1, b"c=d"), (24, b""))])
def test_a_packet_is_taken_apart_as_pyrad_takes_it_apart(sent: list[tuple[int, bytes]]) -> None:
    octets = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in sent)
    packet = Packet(packet=b"\x02\x00" + (20 + len(octets)).to_bytes(2) + bytes(16) + octets, dict=PYRAD)
    attributes = Attributes(sent)

    for definition in DEFINITIONS:
        key = (definition.vendor, definition.type) if definition.vendor else definition.type
        assert list(attributes.raws(definition.name)) == packet.get(key, [])


@given(named_values)
def test_a_value_is_read_as_pyrad_reads_it(named: tuple[Definition, str | int | bytes]) -> None:
    definition, value = named
    octets = encode(definition.name, value)
    attributes = Attributes([(octets[0], octets[2:])])

    [expected] = pyrad_packet(definition, value)[definition.name]
    if definition.kind in NUMBERS:
        assert attributes.integer(definition.name) == expected == value
    elif definition.kind in ADDRESSES:
        assert attributes.address(definition.name) == expected == value
    elif definition.kind is Kind.OCTETS:
        assert attributes.raw(definition.name) == expected == value
    else:
        assert attributes.text(definition.name) == expected.replace("\0", "\\x00")


@given(packets)
@example([(kind, b"") for kind in range(1, 256)])
def test_no_reading_fails_whatever_was_sent(sent: list[tuple[int, bytes]]) -> None:
    attributes = Attributes(sent)
    for name, definition in standard().by_name.items():
        texts = attributes.texts(name)

        assert attributes.text(name) == (texts[0] if texts else None)
        assert all(text and "\0" not in text and text.encode() for text in texts)
        assert attributes.raw(name) == next(iter(attributes.raws(name)), None)
        if definition.kind in NUMBERS:
            number = attributes.integer(name)
            assert number is None or 0 <= number < 2**32
        if definition.kind in ADDRESSES:
            attributes.address(name)
    attributes.avpair("call-id")
    assert len(list(attributes.items())) >= len(sent)


@pytest.mark.parametrize(
    ("name", "value", "octets"),
    [
        (
            "h323-credit-time",
            "h323-credit-time=3600",
            "1a1d 00000009 6617 683332332d6372656469742d74696d65 3d 33363030",
        ),
        (
            "h323-return-code",
            "h323-return-code=0",
            "1a1a 00000009 6714 683332332d72657475726e2d636f6465 3d 30",
        ),
        (
            "Cisco-AVPair",
            "h323-ivr-in=DURATION:3600",
            "1a21 00000009 011b 683332332d6976722d696e 3d 4455524154494f4e3a33363030",
        ),
        ("Session-Timeout", 3600, "1b06 00000e10"),
        ("NAS-IP-Address", "192.0.2.1", "0406 c0000201"),
    ],
)
def test_attributes_have_the_octets_switches_expect(name: str, value: str | int, octets: str) -> None:
    assert encode(name, value) == bytes.fromhex(octets)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"bob", "bob"),
        (b"", None),
        (b"User-Name=bob", "User-Name=bob"),
        (b"caf\xe9", "caf\\xe9"),
        (b"b\0b", "b\\x00b"),
        (b"Zo\xc3\xab", "Zo\u00eb"),
        (b"\r\n\t", "\r\n\t"),
    ],
)
def test_text_is_what_was_sent_with_escapes_for_what_no_text_may_hold_p_018(
    sent: bytes, read: str | None
) -> None:
    assert Attributes([(1, sent)]).text("User-Name") == read


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"h323-credit-time=3600", "3600"),
        (b"3600", "3600"),
        (b"h323-credit-time=", None),
        (b"credit-time=3600", "credit-time=3600"),
        (b"h323-credit-time=a=b", "a=b"),
    ],
)
def test_cisco_text_loses_its_own_name_and_no_other(sent: bytes, read: str | None) -> None:
    assert Attributes([vendor_specific((102, sent))]).text("h323-credit-time") == read


def test_empty_text_is_absent_and_does_not_hide_the_one_behind_it() -> None:
    attributes = Attributes([(1, b""), (1, b"bob"), (1, b"eve")])

    assert attributes.text("User-Name") == "bob"
    assert attributes.texts("User-Name") == ("bob", "eve")
    assert attributes.raws("User-Name") == (b"", b"bob", b"eve")
    assert attributes.raw("User-Name") == b""


@pytest.mark.parametrize("size", [0, 1, 3, 5, 8])
def test_numbers_and_addresses_of_the_wrong_size_are_absent(size: int) -> None:
    attributes = Attributes([(5, bytes(size)), (4, bytes(size)), (95, bytes(size)), (55, bytes(size))])

    assert attributes.integer("NAS-Port") is None
    assert attributes.integer("Event-Timestamp") is None
    assert attributes.address("NAS-IP-Address") is None
    assert attributes.address("NAS-IPv6-Address") is None
    assert attributes.raw("NAS-Port") == bytes(size)


def test_an_address_of_the_other_family_is_absent() -> None:
    attributes = Attributes([(4, bytes(16)), (95, bytes(4))])

    assert attributes.address("NAS-IP-Address") is None
    assert attributes.address("NAS-IPv6-Address") is None


def test_numbers_and_addresses_of_the_right_size_are_read() -> None:
    v6 = IPv6Address("2001:db8::1")
    attributes = Attributes([(5, bytes((0, 0, 0x13, 0xC4))), (4, bytes((192, 0, 2, 1))), (95, v6.packed)])

    assert attributes.integer("NAS-Port") == 5060
    assert attributes.address("NAS-IP-Address") == "192.0.2.1"
    assert attributes.address("NAS-IPv6-Address") == "2001:db8::1"


def test_several_attributes_may_share_one_vendor_specific() -> None:
    attributes = Attributes([vendor_specific((24, b"conf"), (1, b"call-id=x"), (26, b"answer")), (1, b"bob")])

    assert attributes.text("h323-conf-id") == "conf"
    assert attributes.text("h323-call-origin") == "answer"
    assert attributes.avpair("call-id") == "x"
    assert attributes.text("User-Name") == "bob"


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "00000009",
        "00000009 01",
        "00000009 0100",
        "00000009 0101",
        "00000009 01ff",
        "00000009 0105613d62 02",
        "00000009 0105613d62 0200",
        "00000000 0105613d62",
        "01000009 0105613d62",
        "000001ad 0105613d62",
    ],
)
def test_vendors_attributes_that_make_no_sense_are_ignored_and_kept_for_the_record(octets: str) -> None:
    value = bytes.fromhex(octets)
    attributes = Attributes([(VENDOR_SPECIFIC, value), (1, b"bob")])

    assert attributes.avpair("a") is None
    assert attributes.raws("Cisco-AVPair") == ()
    assert attributes.text("User-Name") == "bob"
    assert next(attributes.items()) == ("Attribute-26", f"0x{value.hex()}")


def test_vendor_attributes_inside_one_another_are_one() -> None:
    value = b"a=b"
    for _ in range(40):
        value = bytes((1, len(value) + 2)) + value
    attributes = Attributes([(VENDOR_SPECIFIC, b"\0\0\0\x09" + value)])

    assert len(attributes.raws("Cisco-AVPair")) == 1


def test_the_first_avpair_that_says_something_counts() -> None:
    said = (b"k=", b"k=one", b"k=two", b"no equals sign", b"=nameless", b"eq=a=b=c", b"K=upper")
    attributes = Attributes([vendor_specific((1, pair)) for pair in said])

    assert attributes.avpair("k") == "one"
    assert attributes.avpair("K") == "upper"
    assert attributes.avpair("eq") == "a=b=c"
    assert attributes.avpair("no equals sign") is None
    assert attributes.avpair("absent") is None


def test_a_dump_shows_everything_in_order_and_no_password() -> None:
    attributes = Attributes(
        [
            (222, b"\1\2"),
            (1, b"bob"),
            (2, b"hidden password!"),
            (3, bytes(17)),
            (5, bytes((0, 0, 0, 7))),
            (5, b"\7"),
            (4, bytes((192, 0, 2, 1))),
            vendor_specific((24, b"h323-conf-id=1"), (250, b"?")),
            (25, b"class"),
        ]
    )

    assert list(attributes.items()) == [
        ("Attribute-222", "0x0102"),
        ("User-Name", "bob"),
        ("User-Password", "***"),
        ("CHAP-Password", "***"),
        ("NAS-Port", "7"),
        ("NAS-Port", "0x07"),
        ("NAS-IP-Address", "192.0.2.1"),
        ("h323-conf-id", "1"),
        ("Vendor-9-250", "0x3f"),
        ("Class", "0x636c617373"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("User-Name", "", "User-Name: a value of 0 octets; 1 to 253"),
        ("User-Name", "x" * 254, "User-Name: a value of 254 octets; 1 to 253"),
        ("User-Name", "\u00e9" * 127, "User-Name: a value of 254 octets; 1 to 253"),
        ("Cisco-AVPair", "x" * 248, "Cisco-AVPair: a value of 248 octets; 1 to 247"),
        ("Session-Timeout", -1, "Session-Timeout: -1 is no integer"),
        ("Session-Timeout", 2**32, "is no integer"),
        ("Session-Timeout", "60", "Session-Timeout: '60' is no integer"),
        ("h323-credit-time", 60, "h323-credit-time: 60 is no string"),
        ("NAS-IP-Address", "example.org", "example.org"),
        ("NAS-IP-Address", "2001:db8::1", "2001:db8::1"),
        ("Class", "text", "Class: 'text' is no octets"),
    ],
)
def test_a_value_that_does_not_suit_its_attribute_is_refused(
    name: str, value: str | int | bytes, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        encode(name, value)


def test_the_longest_values_fill_their_attribute_to_255_octets() -> None:
    assert len(encode("User-Name", "x" * 253)) == 255
    assert len(encode("Cisco-AVPair", "x" * 247)) == 255


@pytest.mark.parametrize("octets", [b"0x4142", b"65", b"300", b"\0\xff"])
def test_octets_go_out_as_they_are_whatever_they_look_like_y_21(octets: bytes) -> None:
    assert encode("Class", octets) == bytes((25, len(octets) + 2)) + octets


def test_a_name_nobody_has_defined_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        Attributes([]).text("User-Nmae")
    with pytest.raises(KeyError):
        encode("User-Nmae", "bob")


def test_asking_text_for_a_number_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="h323-credit-time is no number"):
        Attributes([]).integer("h323-credit-time")
    with pytest.raises(AssertionError, match="User-Name is no address"):
        Attributes([]).address("User-Name")


USER_NAME = "ATTRIBUTE User-Name 1 string"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([USER_NAME, "ATTRIBUTE User-Name 2 string"], "bad:2: User-Name is defined already, at .*bad:1"),
        ([USER_NAME, "ATTRIBUTE Other 1 string"], "bad:2: number 1 of the standard attributes is defined"),
        (["ATTRIBUTE User-Name 0 string"], "bad:1: attribute number 0: 1 to 255 exist"),
        (["ATTRIBUTE User-Name 256 string"], "bad:1: attribute number 256"),
        (["ATTRIBUTE User-Name -1 string"], "bad:1: attribute number -1"),
        (["", "# words", "ATTRIBUTE User-Name one string"], "bad:3: attribute number one"),
        (["ATTRIBUTE User-Name 1 tlv"], "bad:1: type tlv: known are string"),
        (["VENDOR A 1", "VENDOR B 1"], "bad:2: vendor number 1 is defined already, at .*bad:1"),
        (["VENDOR A 1", "VENDOR A 2"], "bad:2: vendor A is defined already"),
        (["BEGIN-VENDOR Nobody"], "bad:1: .*Nobody"),
        (["VENDOR A 1", "END-VENDOR A"], "bad:2: .*A"),
        (["VENDOR A one"], "bad:1: .*one"),
        (["BEGIN-TLV Digest"], "bad:1: 'BEGIN-TLV Digest' is no VENDOR"),
        (["$INCLUDE other"], r"bad:1: '\$INCLUDE other' is no VENDOR"),
        (["ATTRIBUTE User-Name 1"], "bad:1: 'ATTRIBUTE User-Name 1' is no VENDOR"),
    ],
)
def test_a_dictionary_with_a_mistake_is_refused_with_file_and_line(
    tmp_path: Path, lines: list[str], words: str
) -> None:
    path = tmp_path / "bad"
    path.write_text("\n".join(lines), encoding="utf-8")

    with pytest.raises(DictionaryError, match=words):
        load([path])


def test_two_files_that_give_one_number_two_meanings_do_not_go_together(tmp_path: Path) -> None:
    path = tmp_path / "squatter"
    path.write_text("ATTRIBUTE Sip-Method 31 integer", encoding="utf-8")

    with pytest.raises(
        DictionaryError, match=r"squatter:1: number 31 .* defined already, at .*dictionary:\d"
    ):
        load([dictionary_directory() / "dictionary", path])


def test_one_number_of_two_vendors_is_no_conflict(tmp_path: Path) -> None:
    path = tmp_path / "two"
    block = "VENDOR {0} {1}\nBEGIN-VENDOR {0}\nATTRIBUTE {0}-Name 1 string\nEND-VENDOR {0}\n"
    path.write_text(block.format("A", 7) + block.format("B", 8), encoding="utf-8")
    attributes = Attributes([vendor_specific((1, b"b"), vendor=8)], load([path]))

    assert attributes.text("A-Name") is None
    assert attributes.text("B-Name") == "b"


def test_a_dictionary_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin"
    latin.write_bytes(b"# \xe9\n")

    with pytest.raises(DictionaryError, match="missing: No such file"):
        load([tmp_path / "missing"])
    with pytest.raises(DictionaryError, match="latin: not UTF-8"):
        load([latin])
