"""The `billing` command: what can be said on the command line, and which exit code it ends with.

0: done. 1: an expected failure, told in a sentence. 2: the command line itself is wrong.
"""

import os
import re
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy.exc import DBAPIError

from billing_core.admin import block_commands, call_commands, commands, ledger_commands, rates_commands
from billing_core.admin.database import FILE_NAME, opened
from billing_core.admin.output import CommandError, Output
from billing_core.admin.rates_changes import DEFAULT_JUMP_PERCENT, Mode
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


_DURATION = re.compile(r"([0-9]{1,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _expiry(text: str) -> datetime | timedelta:
    """Read a time from now on, as `2h` or `7d`, or a moment."""
    if match := _DURATION.fullmatch(text):
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        return _instant(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f'{error}; or a time from now on, as "30m", "2h" or "7d"') from None


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


def _booking(amount: str, *, needs_reason: bool = False) -> tuple[_Argument, ...]:
    return (
        _argument("name", metavar="NAME", help="the client's name"),
        _argument("amount", metavar="AMOUNT", help=amount),
        _argument("--reason", metavar="TEXT", required=needs_reason, help="is kept with the entry"),
        _argument("--reference", metavar="KEY", help="books only one entry of the client under KEY"),
    )


_PERIOD = (
    _argument("--from", dest="since", type=_instant, metavar="T", help="only what is dated T or later"),
    _argument("--to", dest="until", type=_instant, metavar="T", help="only what is dated before T"),
)
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
    ("payment",): (ledger_commands.payment, _booking('as "12.50"; negative takes money back')),
    ("refund",): (ledger_commands.refund, _booking('what is given back, as "12.50"', needs_reason=True)),
    ("charge",): (ledger_commands.charge, _booking('what is to be paid, as "12.50"', needs_reason=True)),
    ("correction",): (
        ledger_commands.correction,
        _booking('as "12.50"; negative takes money', needs_reason=True),
    ),
    ("transactions",): (
        ledger_commands.transactions_list,
        (
            _argument("name", metavar="NAME", help="the client's name"),
            *_PERIOD,
            _argument("--limit", type=_count, metavar="N", help="only the newest N"),
        ),
    ),
    ("rerate",): (
        ledger_commands.rerate,
        (
            _argument("--client", metavar="NAME"),
            _argument("--table", metavar="NAME", help="only by this rate table or one that falls back on it"),
            *_PERIOD,
            _argument("--unbillable", action="store_true", help="only what could not be charged"),
            _argument("--yes", action="store_true", help="post the differences instead of showing them"),
        ),
    ),
    ("months", "list"): (ledger_commands.months_list, ()),
    ("months", "drop"): (
        ledger_commands.months_drop,
        (
            _argument("month", metavar="YYYY-MM"),
            _argument("--yes", action="store_true", help="drop it instead of only showing what it holds"),
        ),
    ),
    ("rates", "import"): (
        rates_commands.rates_import,
        (
            _argument("table", metavar="TABLE"),
            _argument("file", type=Path, metavar="FILE", help="a CSV or an XLSX file"),
            _argument(
                "--mode",
                choices=[mode.value for mode in Mode],
                default=Mode.UPDATE.value,
                help="full also ends codes that the file does not name",
            ),
            _argument("--sheet", metavar="NAME", help="this sheet of a workbook instead of the first"),
            _argument("--dry-run", action="store_true", help="show what would change, and stop"),
            _argument("--yes", action="store_true", help="import in spite of warnings"),
            _argument(
                "--jump",
                type=_count,
                default=DEFAULT_JUMP_PERCENT,
                metavar="PERCENT",
                help=f"warn of prices that change by more (default: {DEFAULT_JUMP_PERCENT})",
            ),
        ),
    ),
    ("rates", "history"): (rates_commands.rates_history, (_argument("table", metavar="TABLE"), _LIMIT)),
    ("rates", "rollback"): (
        rates_commands.rates_rollback,
        (
            _argument("table", metavar="TABLE"),
            _argument(
                "--to",
                type=_count,
                metavar="VERSION",
                help="back to this version (default: undo the newest); 0 is before the first",
            ),
            _argument("--dry-run", action="store_true", help="show what would change, and stop"),
        ),
    ),
    ("rates", "lookup"): (
        rates_commands.rates_lookup,
        (
            _argument("table", metavar="TABLE"),
            _argument("number", metavar="NUMBER"),
            _argument("--at", type=_instant, metavar="T", help="the moment, by default now"),
            _argument("--client", metavar="NAME", help="in this client's time zone and currency"),
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
    ("calls",): (call_commands.calls, (_LIMIT,)),
    ("xdrs",): (
        call_commands.xdrs,
        (
            _argument("--client", metavar="NAME"),
            _argument("--unbillable", action="store_true", help="only what could not be charged"),
            _argument("--call", metavar="ID", help="only this call id or session id"),
            _argument(
                "--since",
                "--from",
                dest="since",
                type=_instant,
                metavar="T",
                help="only records dated T or later",
            ),
            _argument("--to", dest="until", type=_instant, metavar="T", help="only records dated before T"),
            _argument("--limit", type=_count, metavar="N", help="only the newest N"),
            _argument(
                "--csv",
                nargs="?",
                type=Path,
                const=call_commands.STDOUT,
                metavar="FILE",
                help="all columns as CSV, to FILE or to stdout",
            ),
        ),
    ),
    ("explain",): (
        call_commands.explain_call,
        (_argument("call", metavar="CALL", help="a call id, session id or leg key in hexadecimal"),),
    ),
    ("block", "add"): (
        block_commands.block_add,
        (
            _argument("kind", choices=block_commands.KINDS),
            _argument("value", metavar="VALUE", help="a number, its first digits, an account or a client"),
            _argument("--reason", default="", metavar="TEXT", help="why, for whoever looks"),
            _argument("--expires", type=_expiry, metavar="T", help='a moment, or "2h", "7d" from now on'),
        ),
    ),
    ("block", "list"): (
        block_commands.block_list,
        (_argument("--all", action="store_true", help="also what was removed or has expired"),),
    ),
    ("block", "remove"): (
        block_commands.block_remove,
        (
            _argument("block", metavar="ID|KIND", help="the block's id, or number, code, account, client"),
            _argument("value", nargs="?", metavar="VALUE", help="with KIND: what is blocked"),
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
