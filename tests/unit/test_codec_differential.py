"""A second opinion on every packet: pyrad's decoder, which shares no code with ours but the dictionary files.

On well-formed packets both say the same, attribute by attribute, in every dialect. Where they differ is in
two tables below; we are the stricter in all of it.
"""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad.dictionary import Dictionary
from pyrad.packet import Packet, PacketError

from radiusd.codec import Attributes, Definition, Kind, dictionary_directory
from radiusd.dialects import DIALECTS
from radiusd.dialects.reader import tables
from radiusd.wire import VENDOR_SPECIFIC, DropReason, Frame, Port, parse

AUTHENTICATOR = bytes(range(16))


def avp(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def packet_of(attributes: bytes, code: int = 1) -> bytes:
    return bytes((code, 42)) + (20 + len(attributes)).to_bytes(2) + AUTHENTICATOR + attributes


@cache
def files(name: str, access: bool) -> tuple[str, ...]:
    dialect = DIALECTS[name]
    more = dialect.access_dictionaries if access else dialect.accounting_dictionaries
    return ("dictionary", *(f"dictionary.{file}" for file in (*dialect.dictionaries, *more)))


@cache
def pyrads(named: tuple[str, ...]) -> Dictionary:
    return Dictionary(*(str(dictionary_directory() / name) for name in named))


def values_of(definition: Definition) -> st.SearchStrategy[bytes]:
    """Octets as the kind wants them, but not always."""
    right: dict[Kind, st.SearchStrategy[bytes]] = {
        Kind.INTEGER: st.binary(min_size=4, max_size=4),
        Kind.DATE: st.binary(min_size=4, max_size=4),
        Kind.ADDRESS: st.binary(min_size=4, max_size=4),
        Kind.IPV6_ADDRESS: st.binary(min_size=16, max_size=16),
        Kind.TEXT: st.text(min_size=1, max_size=20).map(str.encode) | st.just(definition.prefix + b"1"),
        Kind.OCTETS: st.binary(max_size=30),
    }
    return right[definition.kind] | st.binary(max_size=20)


def written(definition: Definition, value: bytes) -> bytes:
    if not definition.vendor:
        return avp(definition.type, value)
    return avp(VENDOR_SPECIFIC, definition.vendor.to_bytes(4) + avp(definition.type, value))


@st.composite
def spoken(draw: st.DrawFn) -> tuple[str, bool, bytes]:
    """Draw a dialect, a kind of packet, and attributes that its tables define, mixed with strange ones."""
    name, access = draw(st.sampled_from(sorted(DIALECTS))), draw(st.booleans())
    definitions = sorted(tables(DIALECTS[name], access=access).by_name.values(), key=lambda each: each.name)
    defined = st.sampled_from(definitions).flatmap(
        lambda definition: st.builds(written, st.just(definition), values_of(definition))
    )
    strange = st.builds(avp, st.integers(1, 255), st.binary(max_size=20))
    # Its sub-attributes fit only sometimes.
    loose = st.builds(
        lambda vendor, inner: avp(VENDOR_SPECIFIC, vendor.to_bytes(4) + inner),
        st.sampled_from([*{definition.vendor for definition in definitions}]),
        st.binary(max_size=12) | st.binary(max_size=5).map(lambda value: b"\x01\x03x" + value),
    )
    return name, access, b"".join(draw(st.lists(defined | strange | loose, max_size=15)))


@given(spoken())
def test_both_read_the_same_attribute_by_attribute_in_every_dialect(drawn: tuple[str, bool, bytes]) -> None:
    name, access, attributes = drawn
    dialect = DIALECTS[name]
    raw = packet_of(attributes, 1 if access else 4)
    frame = parse(raw, Port.AUTHENTICATION if access else Port.ACCOUNTING)
    if frame in (DropReason.MA_LENGTH, DropReason.MA_DUPLICATE, DropReason.EAP_MIXED):
        return
    assert isinstance(frame, Frame)
    known = tables(dialect, access=access)
    ours, theirs = Attributes(frame.attributes, known), Packet(packet=raw, dict=pyrads(files(name, access)))

    for definition in known.by_name.values():
        # Whoever writes Cisco's numbers under another vendor's number is known to us alone.
        expected = theirs.get(
            (definition.vendor, definition.type) if definition.vendor else definition.type, []
        )
        if definition.vendor == 9 and dialect.vendors:
            continue
        assert list(ours.raws(definition.name)) == expected
        if expected:
            assert first_value(ours, definition) == theirs_in_our_words(theirs, definition, expected[0])


def first_value(attributes: Attributes, definition: Definition) -> object:
    match definition.kind:
        case Kind.INTEGER | Kind.DATE:
            return attributes.integer(definition.name)
        case Kind.ADDRESS | Kind.IPV6_ADDRESS:
            return attributes.address(definition.name)
        case Kind.TEXT:
            return attributes.texts(definition.name)
        case Kind.OCTETS:
            return attributes.raw(definition.name)


def theirs_in_our_words(packet: Packet, definition: Definition, first: bytes) -> object:
    """Return pyrad's values, changed where VALUES says that we read them otherwise."""
    if definition.kind is Kind.IPV6_ADDRESS and len(first) != 16:
        return None
    if definition.kind is not Kind.TEXT:
        try:
            # One value is decoded at a time: a broken one spoils all of that name for pyrad.
            return packet._DecodeValue(packet.dict.attributes[definition.name], first)
        except ValueError:
            return None
    told = (value if isinstance(value, str) else escaped(value) for value in packet[definition.name])
    prefix = definition.prefix.decode()
    texts = (text.removeprefix(prefix).replace("\0", "\\x00") for text in told)
    return tuple(text for text in texts if text)


def escaped(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


# what it is | the attributes, or the whole datagram behind `=` | our verdict | pyrad's
FRAMING = """
a length of 4097 | = 01 2a 1001 [00]x16 [21ff [00]x253]x15 21fc [00]x250 | length_field | takes it
an attribute that reaches past the end | 0106 626f62 | attr_overflow | takes what is there of it
an attribute of type 0 | 0003 41 | attr_zero | takes it
201 attributes | [0102]x201 | too_many_attrs | takes them
a code that nobody has defined | = ff 2a 0014 [00]x16 | unknown_code | takes it
a reply where a request belongs | = 02 2a 0014 [00]x16 | wrong_port_code | takes it
two signatures | [5012 [00]x16]x2 | ma_duplicate | takes both
a signature of 8 octets | 500a [00]x8 | ma_length | takes it
EAP beside a password | 4f02 0212 [00]x16 | eap_mixed | takes it
"""

# attribute | octets | how we read it | how pyrad reads it
VALUES = r"""
User-Name | 626fff | 'bo\\xff' | b'bo\xff'
User-Name | 626f00 | 'bo\\x00' | 'bo\x00'
User-Name | | None | ''
h323-credit-time | 683332332d6372656469742d74696d653d3630 | '60' | 'h323-credit-time=60'
Session-Timeout | 000e10 | None | refused
NAS-IP-Address | c00002 | None | refused
NAS-IPv6-Address | 20010db8 | None | '2001:db8::'
"""

STRICTER = {row.split(" | ")[2] for row in FRAMING.strip().splitlines()}


def octets(text: str) -> bytes:
    """Read hexadecimal in which `[xx]xN` stands for N times xx."""
    while "[" in text:
        head, _, rest = text.rpartition("[")
        inner, _, rest = rest.partition("]x")
        count = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        text = head + inner * int(count) + rest[len(count) :]
    return bytes.fromhex(text)


def pyrad_takes(datagram: bytes) -> bool:
    try:
        Packet(packet=datagram, dict=pyrads(files("cisco", True)))
    except PacketError:
        return False
    return True


@pytest.mark.parametrize("row", FRAMING.strip().splitlines())
def test_we_refuse_what_pyrad_takes(row: str) -> None:
    _, written_octets, ours, theirs = row.split(" | ")
    whole = written_octets.startswith("=")
    datagram = octets(written_octets[2:]) if whole else packet_of(octets(written_octets))

    assert parse(datagram, Port.AUTHENTICATION) == ours
    assert pyrad_takes(datagram) is theirs.startswith("takes")


@pytest.mark.parametrize("row", VALUES.strip().splitlines())
def test_a_value_is_read_otherwise_on_purpose(row: str) -> None:
    name, written_octets, ours, theirs = (cell.strip() for cell in row.split("|"))
    definition = tables(DIALECTS["cisco"], access=True).by_name[name]
    raw = packet_of(written(definition, octets(written_octets)))
    frame = parse(raw, Port.AUTHENTICATION)
    assert isinstance(frame, Frame)
    attributes = Attributes(frame.attributes)

    read = attributes.text(name) if definition.kind is Kind.TEXT else first_value(attributes, definition)
    assert repr(read) == ours
    packet = Packet(packet=raw, dict=pyrads(files("cisco", True)))
    if theirs == "refused":
        with pytest.raises(ValueError, match="Invalid"):
            packet[name]
    else:
        assert repr(packet[name][0]) == theirs


@given(st.data(), st.lists(st.builds(avp, st.integers(0, 255), st.binary(max_size=20)), max_size=8))
def test_what_pyrad_refuses_we_refuse_and_what_we_refuse_beyond_that_is_in_the_table(
    data: st.DataObject, attributes: list[bytes]
) -> None:
    datagram = packet_of(b"".join(attributes))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(datagram) - 1))
        datagram = datagram[:place] + data.draw(st.binary(min_size=1, max_size=1)) + datagram[place + 1 :]
    datagram = datagram[: data.draw(st.integers(0, len(datagram)))] if data.draw(st.booleans()) else datagram
    verdict = parse(datagram, Port.AUTHENTICATION)

    if isinstance(verdict, Frame):
        assert pyrad_takes(datagram)
    elif pyrad_takes(datagram):
        assert verdict in STRICTER
