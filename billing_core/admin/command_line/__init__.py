"""The command line of `billing`: its subcommands, and the parser that is made of them."""

import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from billing_core.admin.command_line import (
    accounts,
    audit,
    blocks,
    calls,
    clients,
    events,
    ledger,
    mails,
    rates,
    resellers,
    watch,
)
from billing_core.admin.command_line.arguments import CONFIG, Subcommands, Words
from billing_core.admin.command_line.client_selection import SIGNED
from billing_core.admin.output import CommandParser

SUBCOMMANDS: Subcommands = {
    **clients.SUBCOMMANDS,
    **accounts.SUBCOMMANDS,
    **audit.SUBCOMMANDS,
    **resellers.SUBCOMMANDS,
    **ledger.SUBCOMMANDS,
    **rates.SUBCOMMANDS,
    **calls.SUBCOMMANDS,
    **blocks.SUBCOMMANDS,
    **events.SUBCOMMANDS,
    **watch.SUBCOMMANDS,
    **mails.SUBCOMMANDS,
}


def parsed(arguments: Sequence[str] | None = None) -> Namespace:
    """Return what *arguments* say, by default those of this process; raise SystemExit(2)."""
    return parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))


def _joined(arguments: Sequence[str]) -> list[str]:
    """Join flags with values that begin with a minus, as `--live=-10..0`: else they would be flags, too."""
    joined: list[str] = []
    for argument in arguments:
        is_value = argument.startswith("-") and not argument.startswith("--") and joined
        if is_value and joined[-1] in SIGNED:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def parser() -> ArgumentParser:
    """Return the parser of `billing`; what it parses has `run`, the name of the function to be called."""
    whole = CommandParser(
        prog="billing", description="Clients, rates, payments and calls.", allow_abbrev=False
    )
    directory: dict[str, Any] = {
        "type": Path,
        "metavar": "DIR",
        "help": f"where radiusd.toml is (default: {CONFIG})",
    }
    whole.add_argument("--config", default=CONFIG, **directory)
    whole.add_argument("--json", action="store_true", help="write one JSON document to stdout")
    commands: dict[Words, ArgumentParser] = {}
    groups: dict[Words, Any] = {(): whole.add_subparsers(required=True, metavar="COMMAND")}
    for words, subcommand in SUBCOMMANDS.items():
        for length in range(1, len(words)):
            if words[:length] not in groups:
                groups[words[:length]] = _group(groups[words[: length - 1]], words[:length], commands)
        help = subcommand.help
        found = groups[words[:-1]].add_parser(words[-1], help=help, description=help, allow_abbrev=False)
        # These may also stand behind the subcommand, whichever way people write it.
        found.add_argument("--config", default=SUPPRESS, **directory)
        found.add_argument("--json", action="store_true", default=SUPPRESS, help="write one JSON document")
        for argument in subcommand.arguments:
            found.add_argument(*argument.names, **argument.settings)
        found.set_defaults(run=subcommand.run)
        commands[words] = found
    return whole


def _group(above: Any, words: Words, commands: Mapping[Words, ArgumentParser]) -> Any:
    """Return what takes the subcommands of *words*, which may be a command by themselves."""
    if own := commands.get(words):
        return own.add_subparsers(required=False, metavar="COMMAND")
    group = above.add_parser(words[-1], allow_abbrev=False)
    return group.add_subparsers(required=True, metavar="COMMAND")
