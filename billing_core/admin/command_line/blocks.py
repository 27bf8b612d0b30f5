"""What is written after `billing block`."""

from billing_core.admin.command_line.arguments import (
    Subcommand,
    Subcommands,
    argument,
    expiry,
)
from billing_core.block import BlockKind

KINDS = tuple(kind.value for kind in BlockKind)

SUBCOMMANDS: Subcommands = {
    ("block", "add"): Subcommand(
        "blocks.block_commands.block_add",
        "Bar a number, a code, an account or a client from now on",
        (
            argument("kind", choices=KINDS),
            argument("value", metavar="VALUE", help="a number, its first digits, an account or a client"),
            argument("--reason", default="", metavar="TEXT", help="why, for whoever looks"),
            argument("--expires", type=expiry, metavar="T", help='a moment, or "2h", "7d" from now on'),
        ),
    ),
    ("block", "list"): Subcommand(
        "blocks.block_commands.block_list",
        "List what is blocked",
        (argument("--all", action="store_true", help="also what was removed or has expired"),),
    ),
    ("block", "remove"): Subcommand(
        "blocks.block_commands.block_remove",
        "Lift a block, named by its id or by what it bars",
        (
            argument("block", metavar="ID|KIND", help="the block's id, or number, code, account, client"),
            argument("value", nargs="?", metavar="VALUE", help="with KIND: what is blocked"),
        ),
    ),
}
