"""The gate before an archive is opened: how large it really is, and how much one row or text of it holds.

What a member says of its size proves nothing, so it is unpacked and counted, a piece at a time. A small file
may also hold one row of millions of cells, or one text of a gigabyte, which whoever reads it must keep whole.
"""

from typing import BinaryIO, Final
from xml.parsers import expat
from zipfile import ZipFile

UNPACKED_MAX: Final = 256 * 1024 * 1024
"""Octets of all members. A million rates take some 150 megabytes."""
MEMBERS_MAX: Final = 2_000
ROW_ELEMENTS_MAX: Final = 100_000
"""A sheet has at most 16,384 columns; a cell is an element with a few inside."""
ELEMENTS_MAX: Final = 4_000_000
"""In a member without rows: those of two million different texts."""
TEXT_MAX: Final = 1_000_000
"""Characters of one text; Excel takes 32,767 in a cell."""
SECONDS_MAX: Final = 30
"""So long it may take to look through, at some million elements a second: a measure that is the same on a
machine that is busy."""

_ELEMENTS_A_SECOND = 1_000_000
_PIECE_OCTETS = 65_536
_TOKEN_OCTETS_MAX = 4 * 1024 * 1024
_MEGABYTE = 1024 * 1024


class _TooMuchError(Exception):
    """The archive holds more than may be; the text says of what."""


def excess(stream: BinaryIO) -> str | None:
    """Say what an archive has too much of, None where it may be opened. Raises what `zipfile` raises."""
    try:
        with ZipFile(stream) as archive:
            _count(archive)
    except _TooMuchError as error:
        return f"{error}; take out what is no rate, or give it in parts or as CSV"
    finally:
        stream.seek(0)
    return None


def _count(archive: ZipFile) -> None:
    members = archive.infolist()
    if len(members) > MEMBERS_MAX:
        raise _TooMuchError(f"is an archive of {len(members):,} files, more than {MEMBERS_MAX:,}")
    unpacked = 0
    seen = 0
    for member in members:
        content = _Content(member.filename) if member.filename.endswith((".xml", ".rels")) else None
        with archive.open(member) as file:
            while piece := file.read(_PIECE_OCTETS):
                unpacked += len(piece)
                if unpacked > UNPACKED_MAX:
                    limit = UNPACKED_MAX // _MEGABYTE
                    raise _TooMuchError(f"unpacks to more than {limit} megabytes, the most that is opened")
                if content is not None:
                    content.feed(piece)
                    if seen + content.seen > SECONDS_MAX * _ELEMENTS_A_SECOND:
                        raise _TooMuchError(f"takes more than {SECONDS_MAX} seconds to look through")
        seen += content.seen if content is not None else 0


class _Content:
    """One member as it is read: it keeps nothing but counts."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.seen = self._elements = self._text = self._quiet = 0
        self._has_rows = False
        self._is_broken = False
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add
        self._parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, piece: bytes) -> None:
        """Count what the next octets hold; after what is no XML whoever reads it stops as well."""
        if self._is_broken:
            return
        self._quiet += len(piece)
        try:
            self._parser.Parse(piece)
        except expat.ExpatError:
            self._is_broken = True
        if self._quiet > _TOKEN_OCTETS_MAX:
            raise _TooMuchError(f"holds one value of more than {TEXT_MAX:,} characters ({self._name})")

    def _begin(self, name: str, _: dict[str, str]) -> None:
        self._quiet = self._text = 0
        if name.rpartition(":")[2] == "row":
            self._elements, self._has_rows = 0, True
        self._elements += 1
        self.seen += 1
        if self._elements > (ROW_ELEMENTS_MAX if self._has_rows else ELEMENTS_MAX):
            what = "one row" if self._has_rows else "one table"
            raise _TooMuchError(f"holds {what} of more than {self._elements - 1:,} cells ({self._name})")

    def _end(self, _: str) -> None:
        self._quiet = self._text = 0

    def _add(self, text: str) -> None:
        self._quiet = 0
        self._text += len(text)
        if self._text > TEXT_MAX:
            raise _TooMuchError(f"holds one value of more than {TEXT_MAX:,} characters ({self._name})")

    def _refuse(self, *_: object) -> None:
        raise _TooMuchError(f"declares entities, which no workbook does ({self._name})")
