"""The lines of a rates CSV: one row a line, in UTF-8, with `,` between fields.

Read a block at a time, since most blocks hold nothing that needs a closer look; those that do are
read line by line, so that a fault is told with its line.
"""

import csv
from collections.abc import Callable, Iterator
from typing import BinaryIO

_LINE_OCTETS_MAX = 8192
_BLOCK_OCTETS = 1 << 18
_OCTETS_PER_CHARACTER_MAX = 4

_SIGNATURES = {
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
    b"\xd0\xcf\x11\xe0": "is a workbook of old Excel, or one with a password; save it as XLSX or CSV",
}

_Fault = Callable[[int, str, str], None]
_Line = tuple[int, list[str]]


def csv_lines(
    stream: BinaryIO, octets: int, fault: _Fault, progress: Callable[[float], None]
) -> Iterator[_Line]:
    """Yield the number and fields of each line of *stream* that is not blank.

    *octets* is about how long it is; *fault* takes line, column and message of what cannot be read.
    """
    first = stream.readline(_LINE_OCTETS_MAX)
    if first and (problem := _signature(first) or _unreadable(first)):
        fault(1, "", problem)
        return
    yield from _each(1, [first.removeprefix(b"\xef\xbb\xbf")], fault)
    number, rest = 1, b""
    while block := stream.read(_BLOCK_OCTETS):
        progress(min(1.0, stream.tell() / max(1, octets)))
        whole, ended, rest = (rest + block).rpartition(b"\n")
        if ended:
            yield from _block(number + 1, whole, fault)
            number += whole.count(b"\n") + 1
        if len(rest) >= _LINE_OCTETS_MAX:
            break
    if rest:
        yield from _each(number + 1, [rest[:_LINE_OCTETS_MAX]], fault)


def _block(number: int, octets: bytes, fault: _Fault) -> Iterator[_Line]:
    """Yield the lines of a block, the first of which is line *number*."""
    if lines := _plain(octets):
        for line in lines:
            if '"' in line:
                if cells := _quoted(number, line, fault):
                    yield number, cells
            elif line:
                yield number, line.split(",")
            number += 1
    else:
        yield from _each(number, octets.split(b"\n"), fault)


def _plain(octets: bytes) -> list[str] | None:
    """Return the lines of a block that can be taken as text without a closer look at each."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    if "\r" in text:
        text = f"{text}\n".replace("\r\n", "\n")[:-1]
    if "\r" in text or "\0" in text:
        return None
    lines = text.split("\n")
    return lines if max(map(len, lines)) < _LINE_OCTETS_MAX // _OCTETS_PER_CHARACTER_MAX else None


def _each(number: int, lines: list[bytes], fault: _Fault) -> Iterator[_Line]:
    """Yield lines, looking at each by itself."""
    for place, octets in enumerate(lines, number):
        if problem := _unreadable(octets):
            fault(place, "", problem)
            continue
        text = octets.decode().removesuffix("\n").removesuffix("\r")
        cells = _quoted(place, text, fault) if '"' in text else text.split(",")
        if text and cells:
            yield place, cells


def _quoted(number: int, text: str, fault: _Fault) -> list[str] | None:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        fault(number, "", 'a quote is not closed, or text follows it; inside quotes write " twice')
        return None


def _signature(octets: bytes) -> str | None:
    sign = next(filter(octets.startswith, _SIGNATURES), None)
    return _SIGNATURES[sign] if sign else None


def _unreadable(octets: bytes) -> str | None:
    """Tell why a line cannot be taken as text, if so."""
    if b"\0" in octets:
        return "has a NUL octet; save the file as UTF-8 text"
    if len(octets) >= _LINE_OCTETS_MAX:
        return f"the line has {_LINE_OCTETS_MAX} octets or more; one row stands on one line"
    if b"\r" in octets.removesuffix(b"\n").removesuffix(b"\r"):
        return "has a bare carriage return; save the file with the line ends of Unix or Windows"
    try:
        octets.decode()
    except UnicodeDecodeError as error:
        return f"octet 0x{octets[error.start]:02x} is not UTF-8; save the file as UTF-8"
    return None
