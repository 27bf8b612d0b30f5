"""The command line of `billing`: its subcommands, and the parser that is made of them."""

from argparse import SUPPRESS, ArgumentParser
from pathlib import Path
from typing import Any

from billing_core.admin.command_line import audit, blocks, calls, clients, ledger, mails, rates, resellers
from billing_core.admin.command_line.arguments import Subcommands, Words

SUBCOMMANDS: Subcommands = {
    **clients.SUBCOMMANDS,
    **audit.SUBCOMMANDS,
    **resellers.SUBCOMMANDS,
    **ledger.SUBCOMMANDS,
    **rates.SUBCOMMANDS,
    **calls.SUBCOMMANDS,
    **blocks.SUBCOMMANDS,
    **mails.SUBCOMMANDS,
}


def parser() -> ArgumentParser:
    """Return the parser of `billing`; what it parses has `run`, the name of the function to be called."""
    whole = ArgumentParser(
        prog="billing", description="Clients, rates, payments and calls.", allow_abbrev=False
    )
    directory: dict[str, Any] = {
        "type": Path,
        "metavar": "DIR",
        "help": "where radiusd.toml is (default: config)",
    }
    whole.add_argument("--config", default=Path("config"), **directory)
    whole.add_argument("--json", action="store_true", help="write one JSON document to stdout")
    groups: dict[Words, Any] = {(): whole.add_subparsers(required=True, metavar="COMMAND")}
    for words, subcommand in SUBCOMMANDS.items():
        for length in range(1, len(words)):
            if words[:length] not in groups:
                group = groups[words[: length - 1]].add_parser(words[length - 1], allow_abbrev=False)
                groups[words[:length]] = group.add_subparsers(required=True, metavar="COMMAND")
        help = subcommand.help
        found = groups[words[:-1]].add_parser(words[-1], help=help, description=help, allow_abbrev=False)
        # These may also stand behind the subcommand, whichever way people write it.
        found.add_argument("--config", default=SUPPRESS, **directory)
        found.add_argument("--json", action="store_true", default=SUPPRESS, help="write one JSON document")
        for argument in subcommand.arguments:
            found.add_argument(*argument.names, **argument.settings)
        found.set_defaults(run=subcommand.run)
    return whole
