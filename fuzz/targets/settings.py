"""The readers of TOML: the daemon's settings, and definitions of clients and prices.

Whatever stands in the file, it is read, or every fault is told with its line. Where it is TOML, the line of
every key is known, since a fault at that key would be told by it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from billing_core.admin.definitions import definitions
from billing_core.settings import KeyPath, SettingsError, read
from billing_core.settings.toml_lines import lines_of
from fuzz.targets.files import check_faults, written
from radiusd import config


def check(octets: bytes) -> None:
    """Read one file as TOML, as settings and as definitions."""
    path = written(config.FILE_NAME, octets)
    lines = octets.count(b"\n") + 1
    _check_faults(lambda: _check_lines(path), lines)
    _check_faults(lambda: config.load(path.parent), lines)
    _check_faults(lambda: definitions.load(path), lines)


def _check_faults(load: Callable[[], object], lines: int) -> None:
    try:
        load()
    except SettingsError as error:
        check_faults(error, lines)


def _check_lines(path: Path) -> None:
    document = read(path)
    lines = lines_of(document.text)
    for place in _places(document.data, ()):
        assert place in lines, f"nobody knows on which line {place} stands"


def _places(value: Any, around: KeyPath) -> Iterator[KeyPath]:
    """Yield where each table, key and element stands, as deep as settings ever go."""
    parts: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        parts = iter(value.items())
    elif isinstance(value, list):
        parts = iter(enumerate(value))
    for part, inner in parts:
        yield (*around, part)
        if len(around) < 20:
            yield from _places(inner, (*around, part))
