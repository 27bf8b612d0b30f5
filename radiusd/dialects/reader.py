"""Reading a packet by what is wanted (`call_id`), not by attribute: the dialect says where that is."""

from collections.abc import Callable, Iterator
from functools import lru_cache

from radiusd import codec
from radiusd.codec import Attributes, Kind, Tables
from radiusd.dialects.dialect import SOURCES, Dialect
from radiusd.dialects.packed_call import packed_field
from radiusd.wire import Code, Frame

_Source = Callable[[Attributes], str | None]

_BASE = "dictionary"
_DIALECTS_MAX = 4096


class Reader:
    """One packet, as its dialect reads it."""

    __slots__ = ("_sources", "attributes", "dialect")

    def __init__(self, frame: Frame, dialect: Dialect) -> None:
        """Sort the attributes of *frame* by the tables that hold for its code."""
        tables, self._sources = _compiled(dialect, frame.code is Code.ACCESS_REQUEST)
        self.attributes = Attributes(frame.attributes, tables)
        self.dialect = dialect

    def get(self, what: str) -> str | None:
        """Return the first value of that field of the dialect that is there."""
        attributes = self.attributes
        # Most of what may be there is not: to know that must not cost a call.
        sent = attributes.values
        for key, source in self._sources[what]:
            if key in sent and (value := source(attributes)):
                return value
        return None

    def all(self, what: str) -> Iterator[str]:
        """Yield the values of that field of the dialect that are there, the best first."""
        for key, source in self._sources[what]:
            if key in self.attributes.values and (value := source(self.attributes)):
                yield value


def tables(dialect: Dialect, *, access: bool) -> Tables:
    """Return the definitions that hold in packets of one kind; DictionaryError when they contradict."""
    more = dialect.access_dictionaries if access else dialect.accounting_dictionaries
    files = (_BASE, *(f"{_BASE}.{name}" for name in (*dialect.dictionaries, *more)))
    return codec.named(files, dialect.vendors)


def is_readable(source: str, dialect: Dialect) -> bool:
    """Tell whether some packet of the dialect may carry *source*."""
    return any(_source(source, tables(dialect, access=access)) for access in (True, False))


@lru_cache(maxsize=_DIALECTS_MAX)
def _compiled(dialect: Dialect, access: bool) -> tuple[Tables, dict[str, tuple[tuple[int, _Source], ...]]]:
    """Return the tables, and of each field how it is read, with the key that its attribute is sent under."""
    known = tables(dialect, access=access)
    # What only the other kind of packet carries is not looked for in this one.
    return known, {
        what: tuple(
            (known.lookup[_parts(text)[0]][0], source)
            for text in getattr(dialect, what)
            if (source := _source(text, known))
        )
        for what in SOURCES
    }


def _parts(text: str) -> tuple[str, str, str]:
    """Return the attribute that a source is in, and what goes after it: `:key`, `/place`, or nothing."""
    name, _, key = text.partition(":")
    name, slash, place = name.partition("/")
    return name, slash + place, key


def _source(text: str, known: Tables) -> _Source | None:
    """Return how to read *text*; None when the tables do not define it, or it holds nothing readable."""
    name, slashed, key = _parts(text)
    if slashed:
        place = slashed.removeprefix("/")
        is_place = place.isascii() and place.isdigit() and int(place) > 0 and not key
        return _packed(name, int(place)) if is_place and known.kind_of(name) is Kind.TEXT else None
    match known.kind_of(name):
        case Kind.TEXT if key:
            return lambda attributes: attributes.avpair(key, name)
        case Kind.TEXT:
            return lambda attributes: attributes.text(name)
        case Kind.ADDRESS | Kind.IPV6_ADDRESS if not key:
            return lambda attributes: attributes.address(name)
        case Kind.INTEGER | Kind.DATE if not key:
            return lambda attributes: _digits(attributes.integer(name))
        case _:
            return None


def _packed(name: str, place: int) -> _Source:
    def read(attributes: Attributes) -> str | None:
        octets = attributes.raw(name)
        # Asked of nearly every packet, and nearly none holds a packed call.
        if octets is None or b"/" not in octets:
            return None
        text = attributes.text(name)
        return packed_field(text, place) if text else None

    return read


def _digits(number: int | None) -> str | None:
    return None if number is None else str(number)
