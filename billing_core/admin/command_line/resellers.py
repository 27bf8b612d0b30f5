"""What is written after `billing resellers`."""

from billing_core.admin.command_line.arguments import LIMIT, Subcommand, Subcommands, argument

SUBCOMMANDS: Subcommands = {
    ("resellers", "list"): Subcommand(
        "clients.reseller_commands.resellers_list",
        "List the resellers as a tree, with the legs under way at each level",
        (LIMIT,),
    ),
    ("resellers", "show"): Subcommand(
        "clients.reseller_commands.resellers_show",
        "Show one reseller",
        (argument("name", metavar="NAME", help="the reseller's name"),),
    ),
}
