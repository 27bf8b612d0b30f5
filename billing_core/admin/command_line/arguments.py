"""What arguments of commands are made of: how their texts are read, and those that many commands have.

A command is described by plain values, and its function is named, not imported: `billing` starts
quickly because it imports only what the one command needs that it was asked for.
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CONFIG = Path("etc")
"""Where settings and definitions are, unless --config says otherwise."""

STDOUT = Path("-")
"""Where a file is written that is named by a flag without a value."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument as argparse wants it: its names and everything else."""

    names: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subcommand:
    """How a subcommand is called, and what it runs: `folder.module.function` below `billing_core.admin`."""

    run: str
    help: str
    arguments: tuple[Argument, ...] = ()


Words = tuple[str, ...]
"""The words that name a subcommand, as `("clients", "list")`."""

Subcommands = Mapping[Words, Subcommand]


def argument(*names: str, **settings: Any) -> Argument:
    """Return an argument of these names; the settings are those of argparse."""
    return Argument(names, settings)


def instant(text: str) -> datetime:
    """Read a moment of RFC 3339, or a date, which begins at midnight UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f'"{text}" is not a moment; write "2026-12-31T22:00:00Z" or "2026-12-31"'
        ) from None
    if moment.tzinfo is None and len(text) > len("2026-12-31"):
        raise ArgumentTypeError(f'"{text}" names no time zone; add Z for UTC, or an offset as +02:00')
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_DURATION = re.compile(r"([0-9]{1,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def expiry(text: str) -> datetime | timedelta:
    """Read a time from now on, as `2h` or `7d`, or a moment."""
    if match := _DURATION.fullmatch(text):
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        return instant(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f'{error}; or a time from now on, as "30m", "2h" or "7d"') from None


def count(text: str) -> int:
    """Read a whole number that is not negative."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ArgumentTypeError(f'"{text}" is not a whole number, such as 60')
    return int(text)


class ClientName(str):
    """The name of a client that exists, as it was typed: its case may differ where one client alone fits."""

    __slots__ = ()


NAME = argument("name", type=ClientName, metavar="NAME", help="the client's name")
PERIOD = (
    argument(
        "--since", "--from", dest="since", type=instant, metavar="T", help="only what is dated T or later"
    ),
    argument("--to", "--until", dest="until", type=instant, metavar="T", help="only what is dated before T"),
)
CSV = argument(
    "--csv",
    nargs="?",
    type=Path,
    const=STDOUT,
    metavar="FILE",
    help="all columns as CSV, to FILE or to stdout",
)
LIMIT = argument("--limit", type=count, metavar="N", help="only N of them")
NEWEST = argument("--limit", type=count, metavar="N", help="only the newest N")
DRY_RUN = argument("--dry-run", action="store_true", help="show what would change, and stop")
SHOW_NUMBERS = argument(
    "--show-numbers", action="store_true", help="also the ends of numbers that clients hide"
)
PARTLY = argument(
    "--partly", action="store_true", help="leave what somebody changed since, take back the rest"
)
