"""Attributes by name: what a packet's octets say, and the octets of what we say.

The dictionary files are read by pyrad, which only this module imports, and compiled into tables; packets then
pass through those tables alone. Reading never raises on what a peer sent: an attribute whose value has the
wrong size is treated as absent (RFC 6929 section 2.8), and so is empty text (RFC 2865 section 5). Asking for
a name that is in no dictionary, or for a number in an attribute of text, is our own mistake and does raise.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from struct import Struct
from types import MappingProxyType
from typing import Final

from pyrad.dictionary import Dictionary, ParseError

from radiusd.wire import VENDOR_SPECIFIC

STANDARD_FILES: Final = (
    "dictionary",
    "dictionary.disconnect",
    "dictionary.cisco",
    "dictionary.cisco-calling",
)
"""Files that go together; a dialect that reuses numbers of these must not be loaded beside them."""

_CISCO: Final = 9
_VENDOR_HEAD = Struct("!BBIBB")
_PREFIXING_VENDORS = frozenset((9, 35265))
"""Vendors (Cisco, Eltex) whose text may repeat the attribute's name: `h323-credit-time=3600`."""
_HIDDEN = frozenset(("User-Password", "CHAP-Password"))


class Kind(Enum):
    """What an attribute's value is, by the name of its type in the dictionary files."""

    TEXT = "string"
    OCTETS = "octets"
    INTEGER = "integer"
    DATE = "date"
    ADDRESS = "ipaddr"
    IPV6_ADDRESS = "ipv6addr"

    __hash__ = object.__hash__  # Enum's own is written in Python, and every attribute looks one up.


_NUMBERS = frozenset((Kind.INTEGER, Kind.DATE))
_ADDRESSES: dict[Kind, type[IPv4Address | IPv6Address]] = {
    Kind.ADDRESS: IPv4Address,
    Kind.IPV6_ADDRESS: IPv6Address,
}
_ADDRESS_OCTETS = {Kind.ADDRESS: 4, Kind.IPV6_ADDRESS: 16}


class DictionaryError(ValueError):
    """A dictionary file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One attribute of the dictionary."""

    name: str
    vendor: int
    """The vendor's number (RFC 2865 section 5.26), 0 for a standard attribute."""
    type: int
    kind: Kind

    @property
    def key(self) -> int:
        """Vendor and type in one number, which is quick to look up."""
        return self.vendor << 8 | self.type

    @property
    def prefix(self) -> bytes:
        """The `name=` that is no part of the value, empty where there is no such habit."""
        prefixed = self.vendor in _PREFIXING_VENDORS and self.kind is Kind.TEXT
        return f"{self.name}=".encode() if prefixed else b""

    def encode(self, value: str | int | bytes) -> bytes:
        """Return the whole attribute; ValueError when *value* does not suit it."""
        payload = self._payload(value)
        size = len(payload)
        # Empty text must not be sent (RFC 2865 section 5); one octet counts the length of it all.
        if not 0 < size <= (247 if self.vendor else 253):
            raise ValueError(
                f"{self.name}: a value of {size} octets; 1 to {247 if self.vendor else 253} can be sent"
            )
        if self.vendor:
            return _VENDOR_HEAD.pack(VENDOR_SPECIFIC, size + 8, self.vendor, self.type, size + 2) + payload
        return bytes((self.type, size + 2)) + payload

    def _payload(self, value: str | int | bytes) -> bytes:
        match value:
            case str() if self.kind is Kind.TEXT:
                return value.encode()
            case bytes() if self.kind in (Kind.TEXT, Kind.OCTETS):
                return value
            case str() if self.kind in _ADDRESSES:
                return _ADDRESSES[self.kind](value).packed
            case int() if self.kind in _NUMBERS and 0 <= value < 1 << 32:
                return value.to_bytes(4)
        raise ValueError(f"{self.name}: {value!r} is no {self.kind.value}")

    def readable(self, value: bytes) -> str:
        """Return *value* for a person to read; octets of the wrong size in hexadecimal."""
        if self.kind is Kind.TEXT:
            return text_of(value.removeprefix(self.prefix))
        if self.kind in _NUMBERS and len(value) == 4:
            return str(int.from_bytes(value))
        if len(value) == _ADDRESS_OCTETS.get(self.kind):
            return _address(value)
        return f"0x{value.hex()}"


@dataclass(frozen=True, slots=True)
class Tables:
    """Definitions compiled for looking up while packets pass."""

    by_name: dict[str, Definition]
    by_key: dict[int, Definition]
    lookup: dict[str, tuple[int, bytes, Kind]]
    """Name → key, prefix to strip, kind."""
    vendors: dict[bytes, int]
    """Vendor-Id as four octets → the vendor whose definitions hold; the attributes of others stay closed."""

    def kind_of(self, name: str) -> Kind | None:
        """Return what the values of that name are, None when no file defines it."""
        definition = self.by_name.get(name)
        return definition.kind if definition else None

    def encode(self, name: str, value: str | int | bytes) -> bytes:
        """Return one attribute, wrapped for its vendor; ValueError on an unfit value."""
        return self.by_name[name].encode(value)


def dictionary_directory() -> Path:
    """Return where our dictionary files are: in an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    for directory in (package / "dictionaries", package.parent / "dictionaries"):
        if directory.is_dir():
            return directory
    raise DictionaryError(f"no directory `dictionaries` in {package} or beside it: reinstall radiusd")


@cache
def standard() -> Tables:
    """Return the tables of the standard and Cisco attributes; DictionaryError if the files are unusable."""
    return load([dictionary_directory() / name for name in STANDARD_FILES])


@cache
def named(files: tuple[str, ...], vendors: tuple[int, ...] = ()) -> Tables:
    """Return the tables of our *files* together, read once; *vendors* write Cisco's numbers as their own."""
    paths = [dictionary_directory() / name for name in files]
    return load(paths, dict.fromkeys(vendors, _CISCO))


def load(paths: Iterable[Path], same_as: Mapping[int, int] = MappingProxyType({})) -> Tables:
    """Compile dictionary files; DictionaryError names file and line of a conflict or a mistake.

    *same_as* are vendors (left) who number their attributes like another vendor (right).
    """
    dictionary = Dictionary()  # type: ignore[no-untyped-call]
    defined: dict[object, str] = {}
    for path in paths:
        try:
            with path.open(encoding="utf-8") as file:
                _refuse_conflicts(path, file, defined)
                file.seek(0)
                dictionary.ReadDictionary(file)  # type: ignore[no-untyped-call]
        except ParseError as error:
            raise DictionaryError(f"{path}:{error.line}: {error.msg}") from error
        except UnicodeDecodeError as error:
            raise DictionaryError(f"{path}: not UTF-8: {error}") from error
        except OSError as error:
            raise DictionaryError(f"{path}: {error.strerror}") from error
    return _compile(dictionary, same_as)


class Attributes:
    """The attributes of one packet, by name.

    `values` are the octets sent, in order, by the key that `Tables.lookup` gives a name.
    """

    __slots__ = ("_avpairs", "_sent", "_tables", "values")

    def __init__(self, attributes: Iterable[tuple[int, bytes]], tables: Tables | None = None) -> None:
        """Sort the (type, value) pairs of a frame; *tables* other than the standard ones are a dialect's."""
        self._tables = tables or standard()
        self._sent = tuple(attributes)
        self._avpairs: dict[str, dict[str, str]] = {}
        self.values: dict[int, list[bytes]] = {}
        vendors = self._tables.vendors
        values = self.values
        for kind, value in self._sent:
            if kind != VENDOR_SPECIFIC:
                if kind in values:
                    values[kind].append(value)
                else:
                    values[kind] = [value]
            elif (vendor := vendors.get(value[:4])) is not None:
                for inner, inner_value in sub_attributes(value):
                    values.setdefault(vendor << 8 | inner, []).append(inner_value)

    def text(self, name: str) -> str | None:
        """Return the first text of that name which is not empty.

        Octets that are not UTF-8, and NUL, which databases refuse, come out as escapes: `\\xff`, `\\x00`.
        """
        key, prefix, _ = self._tables.lookup[name]
        values = self.values.get(key)
        if values is None:
            return None
        for value in values:
            if found := text_of(value.removeprefix(prefix)):
                return found
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return every text of that name which is not empty, in the order sent."""
        key, prefix, _ = self._tables.lookup[name]
        found = (text_of(value.removeprefix(prefix)) for value in self.values.get(key, ()))
        return tuple(text for text in found if text)

    def integer(self, name: str) -> int | None:
        """Return the first number of that name; None unless it has exactly 4 octets."""
        key, _, kind = self._tables.lookup[name]
        assert kind in _NUMBERS, f"{name} is no number but {kind.value}"
        values = self.values.get(key)
        return int.from_bytes(values[0]) if values and len(values[0]) == 4 else None

    def address(self, name: str) -> str | None:
        """Return the first address of that name; None unless it has the 4 or 16 octets of its kind."""
        key, _, kind = self._tables.lookup[name]
        assert kind in _ADDRESSES, f"{name} is no address but {kind.value}"
        values = self.values.get(key)
        if not values or len(values[0]) != _ADDRESS_OCTETS[kind]:
            return None
        return _address(values[0])

    def raw(self, name: str) -> bytes | None:
        """Return the octets of the first attribute of that name, as sent and perhaps none."""
        values = self.values.get(self._tables.lookup[name][0])
        return values[0] if values else None

    def raws(self, name: str) -> tuple[bytes, ...]:
        """Return the octets of every attribute of that name, in the order sent."""
        return tuple(self.values.get(self._tables.lookup[name][0], ()))

    def avpair(self, key: str, name: str = "Cisco-AVPair") -> str | None:
        """Return what `key=value` in an attribute of that name says; the first that says anything counts."""
        pairs = self._avpairs.get(name)
        if pairs is None:
            pairs = self._avpairs[name] = {}
            for pair in self.texts(name):
                found, _, value = pair.partition("=")
                if value:
                    pairs.setdefault(found, value)
        return pairs.get(key)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield name and readable value of everything sent, in order; passwords are masked.

        What no dictionary knows is named by its numbers, `Attribute-222`, `Vendor-9-250`, in hexadecimal.
        """
        for kind, value in self._sent:
            vendor = self._tables.vendors.get(value[:4], 0) if kind == VENDOR_SPECIFIC else 0
            parts = sub_attributes(value) if vendor else []
            if not parts:
                yield self._item(0, kind, value)
            for inner, inner_value in parts:
                yield self._item(vendor, inner, inner_value)

    def _item(self, vendor: int, kind: int, value: bytes) -> tuple[str, str]:
        definition = self._tables.by_key.get(vendor << 8 | kind)
        if definition is None:
            return f"Vendor-{vendor}-{kind}" if vendor else f"Attribute-{kind}", f"0x{value.hex()}"
        return definition.name, "***" if definition.name in _HIDDEN else definition.readable(value)


def encode(name: str, value: str | int | bytes) -> bytes:
    """Return one attribute of the standard tables, wrapped for its vendor; ValueError on an unfit value.

    Text goes out as UTF-8, at most 253 octets, 247 in a vendor's attribute. Octets go out as they are.
    """
    return standard().by_name[name].encode(value)


@lru_cache(maxsize=1024)
def _address(octets: bytes) -> str:
    """Return an address in its usual notation; the same few switches send the same few addresses."""
    return str(ip_address(octets))


def text_of(value: bytes) -> str:
    """Return *value* as UTF-8, with escapes for what no text may hold."""
    text = value.decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00") if "\0" in text else text


def sub_attributes(value: bytes) -> list[tuple[int, bytes]]:
    """Split a Vendor-Specific value in the format of RFC 2865 section 5.26; empty when it does not fit.

    Vendors put several sub-attributes into one. A length that is short of its own header or points past the
    end spoils the whole value, and every step moves forward, so no input can hold us here.
    """
    found = []
    offset, end = 4, len(value)
    while offset < end:
        after = offset + value[offset + 1] if offset + 1 < end else 0
        if not offset + 2 <= after <= end:
            return []
        found.append((value[offset], value[offset + 2 : after]))
        offset = after
    return found


def _refuse_conflicts(path: Path, lines: Iterable[str], defined: dict[object, str]) -> None:
    """Refuse what pyrad lets pass in silence: redefinitions, impossible numbers, unknown commands."""
    vendor = ""
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}"
        claims: tuple[object, ...] = ()
        match line.partition("#")[0].split():
            case []:
                pass
            case ["VENDOR", name, vendor_number]:
                claims = (f"vendor {name}", f"vendor number {vendor_number}")
            case ["BEGIN-VENDOR", vendor] | ["END-VENDOR", vendor]:
                vendor = vendor if line.split()[0] == "BEGIN-VENDOR" else ""
            case ["ATTRIBUTE", name, code, kind]:
                _refuse_impossible(place, code, kind)
                claims = (name, f"number {int(code)} of {vendor or 'the standard attributes'}")
            case _:
                raise DictionaryError(
                    f"{place}: {line.strip()!r} is no VENDOR, BEGIN-VENDOR, END-VENDOR or ATTRIBUTE"
                )
        for claim in claims:
            if claim in defined:
                raise DictionaryError(f"{place}: {claim} is defined already, at {defined[claim]}")
            defined[claim] = place


def _refuse_impossible(place: str, code: str, kind: str) -> None:
    if not (code.isascii() and code.isdigit() and 1 <= int(code) <= 255):
        raise DictionaryError(f"{place}: attribute number {code}: 1 to 255 exist")
    if kind not in {known.value for known in Kind}:
        raise DictionaryError(f"{place}: type {kind}: known are {', '.join(known.value for known in Kind)}")


def _compile(dictionary: Dictionary, same_as: Mapping[int, int]) -> Tables:
    """Turn what pyrad read into our tables."""
    definitions = [
        Definition(name, dictionary.vendors[attribute.vendor], attribute.code, Kind(attribute.type))
        for name, attribute in dictionary.attributes.items()
    ]
    return Tables(
        by_name={definition.name: definition for definition in definitions},
        by_key={definition.key: definition for definition in definitions},
        lookup={
            definition.name: (definition.key, definition.prefix, definition.kind)
            for definition in definitions
        },
        vendors={
            **{number.to_bytes(4): number for number in dictionary.vendors.forward.values() if number},
            **{number.to_bytes(4): model for number, model in same_as.items()},
        },
    )
