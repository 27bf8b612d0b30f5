"""What is written after `billing watch`."""

from billing_core.admin.command_line.arguments import Subcommand, Subcommands, argument, count

SUBCOMMANDS: Subcommands = {
    ("watch",): Subcommand(
        "blocks.watch_commands.watch",
        "Block who does more than a watch allows, until TERM or INT, or once",
        (
            argument("--once", action="store_true", help="look once, and stop"),
            argument(
                "--interval",
                type=count,
                default=60,
                metavar="SECONDS",
                help="between two looks (default: 60)",
            ),
        ),
    ),
}
