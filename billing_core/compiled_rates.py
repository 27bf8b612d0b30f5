"""The compiled form of a rate table: a million rates in octets that processes share and nobody has to read.

It begins with a header, which says where the parts are: one record of fixed width for each rate, those of
one code together and the newest first; texts; a trie that numbers the codes; and for each number the first
record and how many there are. Amounts are kept as written, with every decimal.
"""

import struct
from array import array
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from operator import itemgetter
from typing import BinaryIO

from marisa_trie import Trie

RateFields = tuple[
    str, str, Decimal, Decimal, int, int, int, datetime | None, datetime | None, str | None, int, int, bool
]
"""What a rate consists of, in the order of the fields of `billing_core.rate_table.Rate`."""

_MAGIC = b"rates  1"
_HEADER = struct.Struct("<8s4Q")
# Price, fee, begin, end; minimum, interval, grace, destination, profile; lengths; places and whether blocked.
_RECORD = struct.Struct("<4q5I2H2B?x")
_TEXT_LENGTH = struct.Struct("<I")
_ALIGNMENT = 8

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ALWAYS, _NEVER = -(2**63), 2**63 - 1
_NO_TEXT = 0
# Of the decimals that a price list may write all are kept; zeros that a computation left behind are not.
_PLACES = 8

# So many different texts are recognised when they come again; beyond, they are only written twice.
_TEXTS_REMEMBERED_MAX = 65_536
# Prices, dates and destinations come again and again, and the same object is faster had than made.
_VALUES_AT_HAND_MAX = 4096

_EXACT = Context(prec=40)


class CompiledRates:
    """Rates by code, over octets that `compile_rates` wrote and that never change."""

    __slots__ = ("_index", "_octets", "_texts", "_texts_at_hand", "_trie")

    def __init__(self, octets: memoryview) -> None:
        """Look into *octets*. Raises ValueError when they are something else."""
        if len(octets) < _HEADER.size or bytes(octets[: len(_MAGIC)]) != _MAGIC:
            raise ValueError("these octets are not compiled rates")
        _, self._texts, trie, index, end = _HEADER.unpack_from(octets)
        if len(octets) != end:
            raise ValueError(f"compiled rates of {end} octets were cut to {len(octets)}")
        # The trie only points into the octets, so it must not be handed out: it would not keep them alive.
        self._octets = octets
        self._trie = Trie().map(octets[trie:index])
        self._index = octets[index:end].cast("I")
        self._texts_at_hand: dict[int, str] = {}

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self._trie)

    def __iter__(self) -> Iterator[RateFields]:
        """Yield every rate, by code in no particular order; of one code the newest first."""
        for code, number in self._trie.items():
            yield from self.versions(code, number)

    def prefixes(self, number: str) -> list[tuple[str, int]]:
        """Return the codes that *number* begins with, the shortest first, each with its own number."""
        return list(self._trie.iter_prefixes_with_ids(number))

    def versions(self, code: str, code_number: int) -> list[RateFields]:
        """Return the rates of a code, the newest first."""
        first, count = self._index[2 * code_number], self._index[2 * code_number + 1]
        begin = _HEADER.size + first * _RECORD.size
        end = begin + count * _RECORD.size
        return [self._fields(code, offset) for offset in range(begin, end, _RECORD.size)]

    def _fields(self, code: str, offset: int) -> RateFields:
        record = _RECORD.unpack_from(self._octets, offset)
        price, fee, begin, end, minimum, interval, grace, destination, profile = record[:9]
        shortest, longest, price_places, fee_places, blocked = record[9:]
        return (
            code,
            self._texts_at_hand.get(destination) or self._text(destination),
            _amount(price, price_places),
            _amount(fee, fee_places),
            minimum,
            interval,
            grace,
            None if begin == _ALWAYS else _moment(begin),
            None if end == _NEVER else _moment(end),
            None if profile == _NO_TEXT else self._text(profile),
            shortest,
            longest,
            blocked,
        )

    def _text(self, place: int) -> str:
        begin = self._texts + place + _TEXT_LENGTH.size
        (length,) = _TEXT_LENGTH.unpack_from(self._octets, self._texts + place)
        text = str(self._octets[begin : begin + length], "utf-8")
        if len(self._texts_at_hand) < _VALUES_AT_HAND_MAX:
            self._texts_at_hand[place] = text
        return text


def compiled(rates: Iterable[RateFields]) -> CompiledRates:
    """Compile rates, which may come in any order, into this process's own memory."""
    out = BytesIO()
    compile_rates(sorted(rates, key=itemgetter(0)), out)
    return CompiledRates(memoryview(out.getvalue()))


def compile_rates(rates: Iterable[RateFields], out: BinaryIO) -> None:
    """Write the compiled form of *rates*, in which those of one code come together, to a new file.

    Takes some 60 octets of memory a code. Raises ValueError for a rate that has no place in a record.
    """
    texts = _Texts()
    codes, counts = BytesIO(), array("I")
    out.write(bytes(_HEADER.size))
    for code, versions in groupby(rates, key=itemgetter(0)):
        records = [texts.record(rate) for rate in _newest_first(versions)]
        out.write(b"".join(records))
        codes.write(code.encode() + b"\n")
        counts.append(len(records))
    trie = Trie(_lines(codes))
    if len(trie) != len(counts):
        raise ValueError("rates of one code must come together")
    index = array("I", bytes(8 * len(counts)))
    first = 0
    for code, count in zip(_lines(codes), counts, strict=True):
        number = trie.key_id(code)
        index[2 * number], index[2 * number + 1] = first, count
        first += count
    places = [_part(out, part) for part in (texts.octets(), trie.tobytes(), index.tobytes())]
    end = out.tell()
    out.seek(0)
    out.write(_HEADER.pack(_MAGIC, *places, end))


class _Texts:
    """The texts of a table, of which each is written once as long as they are not too many."""

    def __init__(self) -> None:
        self._out = BytesIO()
        self._places: dict[str, int] = {}
        self._place("")  # At the place that means no text.

    def octets(self) -> bytes:
        return self._out.getvalue()

    def record(self, rate: RateFields) -> bytes:
        code, destination, price, fee, minimum, interval, grace, begin, end, profile = rate[:10]
        price_units, price_places = _units(price)
        fee_units, fee_places = _units(fee)
        try:
            return _RECORD.pack(
                price_units,
                fee_units,
                _microseconds(begin, _ALWAYS),
                _microseconds(end, _NEVER),
                minimum,
                interval,
                grace,
                self._place(destination),
                self._place(profile or ""),
                rate[10],
                rate[11],
                price_places,
                fee_places,
                rate[12],
            )
        except struct.error as error:
            raise ValueError(f"the rate of code {code} is beyond what can be kept: {error}") from error

    def _place(self, text: str) -> int:
        place = self._places.get(text)
        if place is None:
            place = self._out.tell()
            octets = text.encode()
            self._out.write(_TEXT_LENGTH.pack(len(octets)) + octets)
            if len(self._places) < _TEXTS_REMEMBERED_MAX:
                self._places[text] = place
        return place


def _newest_first(versions: Iterable[RateFields]) -> list[RateFields]:
    """Order the rates of a code by date; of one date by profile, so that the order is always the same."""
    found = list(versions)
    if len(found) > 1:
        found.sort(key=lambda rate: (-_microseconds(rate[7], _ALWAYS), rate[9] or ""))
    return found


def _units(amount: Decimal) -> tuple[int, int]:
    """Return an amount as a whole number of units, and how many decimals they are."""
    whole, _, decimals = f"{amount:f}".partition(".")
    decimals = decimals[:_PLACES] + decimals[_PLACES:].rstrip("0")
    return int(whole + decimals), len(decimals)


@lru_cache(_VALUES_AT_HAND_MAX)
def _amount(units: int, places: int) -> Decimal:
    return Decimal(units).scaleb(-places, _EXACT)


@lru_cache(_VALUES_AT_HAND_MAX)
def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _microseconds(moment: datetime | None, absent: int) -> int:
    return absent if moment is None else (moment - _EPOCH) // _MICROSECOND


def _lines(codes: BytesIO) -> Iterator[str]:
    codes.seek(0)
    return (line[:-1].decode() for line in codes)


def _part(out: BinaryIO, octets: bytes) -> int:
    """Write a part where a processor likes to read it, and return the place."""
    out.write(bytes(-out.tell() % _ALIGNMENT))
    place = out.tell()
    out.write(octets)
    return place
