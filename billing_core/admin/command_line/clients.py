"""What is written after `billing` to define and look at clients."""

from pathlib import Path

from billing_core.admin.command_line.arguments import (
    DRY_RUN,
    LIMIT,
    NAME,
    Subcommand,
    Subcommands,
    argument,
)

SUBCOMMANDS: Subcommands = {
    ("apply",): Subcommand(
        "commands.apply",
        "Apply definitions files, showing first what changes",
        (
            argument("files", nargs="+", type=Path, metavar="FILE", help="definitions, as billing.toml"),
            DRY_RUN,
        ),
    ),
    ("clients", "list"): Subcommand(
        "commands.clients_list",
        "List the clients with their money",
        (LIMIT,),
    ),
    ("clients", "show"): Subcommand(
        "commands.clients_show",
        "Show one client",
        (NAME,),
    ),
}
