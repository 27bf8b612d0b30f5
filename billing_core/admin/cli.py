"""The `billing` command: what can be said on the command line, and which exit code it ends with.

0: done. 1: an expected failure, told in a sentence. 2: the command line itself is wrong.
"""

import os
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy.exc import DBAPIError

from billing_core.admin import commands
from billing_core.admin.database import FILE_NAME, opened
from billing_core.admin.output import CommandError, Output
from billing_core.admin.rates import Mode
from billing_core.ports import StorageDownError
from billing_core.settings import SettingsError
from billing_core.storage.embedded import EmbeddedServerError
from billing_core.storage.schema import SchemaError

_INTERRUPTED = 130  # As shells tell that SIGINT ended a program.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; raise SystemExit(2) for a wrong command line."""
    chosen = _parser().parse_args(arguments)
    output = Output(chosen.json)
    try:
        with opened(chosen.config) as database:
            command: commands.Command = chosen.command
            return command(chosen, database, output)
    except (CommandError, SettingsError, SchemaError, EmbeddedServerError) as error:
        output.error(str(error))
    except UnicodeEncodeError:
        output.error("an argument is not UTF-8 text; set the terminal to UTF-8, or correct the argument")
    except (DBAPIError, psycopg2.Error, StorageDownError) as error:
        reason = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
        output.error(
            f"{chosen.config / FILE_NAME}: the database of database.url fails: {reason}; "
            "see that it runs and that the URL is right"
        )
    except BrokenPipeError:
        # Whoever reads stdout has seen enough; the interpreter must not stumble over it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return _INTERRUPTED
    return commands.FAILED


# --- the command line -------------------------------------------------------------------------------


def _instant(text: str) -> datetime:
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


def _count(text: str) -> int:
    """Read a whole number that is not negative."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ArgumentTypeError(f'"{text}" is not a whole number, such as 60')
    return int(text)


@dataclass(frozen=True, slots=True)
class _Argument:
    """One argument as argparse wants it: its names and everything else."""

    names: tuple[str, ...]
    settings: dict[str, Any]


def _argument(*names: str, **settings: Any) -> _Argument:
    return _Argument(names, settings)


_LIMIT = _argument("--limit", type=_count, metavar="N", help="only N of them")

_COMMANDS: dict[tuple[str, ...], tuple[commands.Command, tuple[_Argument, ...]]] = {
    ("apply",): (
        commands.apply,
        (
            _argument("files", nargs="+", type=Path, metavar="FILE", help="definitions, as billing.toml"),
            _argument("--dry-run", action="store_true", help="show what would change, and stop"),
        ),
    ),
    ("clients", "list"): (commands.clients_list, (_LIMIT,)),
    ("clients", "show"): (commands.clients_show, (_argument("name", metavar="NAME"),)),
    ("payment",): (
        commands.payment,
        (
            _argument("name", metavar="NAME", help="the client's name"),
            _argument("amount", metavar="AMOUNT", help='as "12.50"; negative takes money back'),
            _argument("--reference", metavar="KEY", help="books only one payment of the client under KEY"),
        ),
    ),
    ("rates", "import"): (
        commands.rates_import,
        (
            _argument("table", metavar="TABLE"),
            _argument("file", type=Path, metavar="FILE", help="a rates CSV"),
            _argument(
                "--mode",
                choices=[mode.value for mode in Mode],
                default=Mode.UPDATE.value,
                help="full also ends codes that the file does not name",
            ),
        ),
    ),
    ("rates", "lookup"): (
        commands.rates_lookup,
        (
            _argument("table", metavar="TABLE"),
            _argument("number", metavar="NUMBER"),
            _argument("--at", type=_instant, metavar="T", help="the moment, by default now"),
        ),
    ),
    ("quote",): (
        commands.quote_call,
        (
            _argument("--account", required=True, metavar="A", help="name, IP or ANI of an account"),
            _argument("--to", required=True, metavar="NUMBER", help="the number as dialled"),
            _argument("--seconds", type=_count, metavar="N", help="also tell what so long a call costs"),
        ),
    ),
    ("calls",): (commands.calls, (_LIMIT,)),
    ("xdrs",): (
        commands.xdrs,
        (
            _argument("--client", metavar="NAME"),
            _argument("--unbillable", action="store_true", help="only what could not be charged"),
            _argument("--call", metavar="ID", help="only this call id or session id"),
            _argument("--since", type=_instant, metavar="T", help="only records dated T or later"),
            _argument("--limit", type=_count, metavar="N", help="only the newest N"),
        ),
    ),
    ("verify",): (commands.verify_all, ()),
}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="billing", description="Clients, rates, payments and calls.", allow_abbrev=False
    )
    directory: dict[str, Any] = {
        "type": Path,
        "metavar": "DIR",
        "help": "where radiusd.toml is (default: config)",
    }
    parser.add_argument("--config", default=Path("config"), **directory)
    parser.add_argument("--json", action="store_true", help="write one JSON document to stdout")
    groups: dict[tuple[str, ...], Any] = {(): parser.add_subparsers(required=True, metavar="COMMAND")}
    for words, (command, arguments) in _COMMANDS.items():
        for length in range(1, len(words)):
            if words[:length] not in groups:
                group = groups[words[: length - 1]].add_parser(words[length - 1], allow_abbrev=False)
                groups[words[:length]] = group.add_subparsers(required=True, metavar="COMMAND")
        help = (command.__doc__ or "").partition(".")[0]
        found = groups[words[:-1]].add_parser(words[-1], help=help, description=help, allow_abbrev=False)
        # These may also stand behind the subcommand, whichever way people write it.
        found.add_argument("--config", default=SUPPRESS, **directory)
        found.add_argument("--json", action="store_true", default=SUPPRESS, help="write one JSON document")
        for argument in arguments:
            found.add_argument(*argument.names, **argument.settings)
        found.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
