"""Where things stand in a TOML text: the parser does not tell."""

import re
from collections.abc import Iterator
from contextlib import suppress

import tomli

KeyPath = tuple[str | int, ...]
"""Where a value stands: keys, and places in arrays, as `("nas", 0, "secret")`."""


_TOKEN = re.compile(
    r"""
    (?P<blank>  [ \t]+ | \#[^\n]* )
  | (?P<newline> \n )
  | (?P<string> \"{3} (?:\\.|[^\\])*? \"{3,5}    # Up to two quotes may stand before the closing three.
              | '{3} .*? '{3,5}
              | " (?:\\.|[^"\\])* "
              | ' [^']* ' )
  | (?P<mark>   [\[\]{}=,.] )
  | (?P<bare>   [^\s\[\]{}=,.\#"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)


def lines_of(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, on which each table, key and element of an array stands."""
    scan = _Scan(text)
    # Too deep a nesting ends the search; what is found by then is still right.
    with suppress(RecursionError, StopIteration):
        scan.document()
    return scan.lines


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "blank":
            yield match[0], line
        line += match[0].count("\n")
    yield "", line


class _Scan:
    """One walk over the tokens of a text; running out of them raises StopIteration."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self._last: dict[KeyPath, int] = {}  # Array of tables: the place of its latest table.
        self._tokens = _tokens(text)
        self._advance()

    def document(self) -> None:
        table: KeyPath = ()
        while self.token:
            if self.token == "\n":
                self._advance()
            elif self.token == "[":
                table = self._header()
            else:
                self._pair(table)

    def _advance(self) -> None:
        self.token, self.line = next(self._tokens)

    def _header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]`; return where the table stands."""
        line = self.line
        self._advance()
        is_array = self.token == "["
        if is_array:
            self._advance()
        *around, last = self._key()
        table: KeyPath = ()
        for part in around:
            table = self._latest((*table, part))
            self.lines.setdefault(table, line)
        table = (*table, last)
        self.lines.setdefault(table, line)
        if is_array:
            self._last[table] = self._last.get(table, -1) + 1
        table = self._latest(table)
        self.lines[table] = line
        while self.token == "]":
            self._advance()
        return table

    def _latest(self, path: KeyPath) -> KeyPath:
        return (*path, self._last[path]) if path in self._last else path

    def _key(self) -> list[str]:
        """Read a key up to its `=` or `]`."""
        parts = []
        while self.token not in ("=", "]"):
            if self.token != ".":
                parts.append(self.token)
            self._advance()
        return [_unquoted(part) for part in parts]

    def _pair(self, table: KeyPath) -> None:
        line = self.line
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._advance()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        match self.token:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                self._advance()
                while self.token not in (",", "]", "}", "\n", ""):
                    self._advance()

    def _array(self, path: KeyPath) -> None:
        self._advance()
        place = 0
        while self.token != "]":
            if self.token in ("\n", ","):
                self._advance()
                continue
            self.lines[(*path, place)] = self.line
            self._value((*path, place))
            place += 1
        self._advance()

    def _inline_table(self, path: KeyPath) -> None:
        self._advance()
        while self.token != "}":
            if self.token in ("\n", ","):
                self._advance()
            else:
                self._pair(path)
        self._advance()


def _unquoted(key: str) -> str:
    return str(tomli.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key
