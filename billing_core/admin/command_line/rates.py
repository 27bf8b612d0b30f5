"""What is written after `billing rates`."""

from pathlib import Path

from billing_core.admin.command_line.arguments import (
    DRY_RUN,
    LIMIT,
    ClientName,
    Subcommand,
    Subcommands,
    argument,
    count,
    instant,
)

MODES = ("update", "full")
PRICE_JUMP_PERCENT = 50

SUBCOMMANDS: Subcommands = {
    ("rates", "import"): Subcommand(
        "rates.rates_commands.rates_import",
        "Import a rates file into a rate table, showing first what changes",
        (
            argument("table", metavar="TABLE"),
            argument("file", type=Path, metavar="FILE", help="a CSV or an XLSX file"),
            argument(
                "--mode",
                choices=MODES,
                default=MODES[0],
                help="full also ends codes that the file does not name",
            ),
            argument("--sheet", metavar="NAME", help="this sheet of a workbook instead of the first"),
            DRY_RUN,
            argument("--yes", action="store_true", help="import in spite of warnings"),
            argument(
                "--jump",
                type=count,
                default=PRICE_JUMP_PERCENT,
                metavar="PERCENT",
                help=f"warn of prices that change by more (default: {PRICE_JUMP_PERCENT})",
            ),
        ),
    ),
    ("rates", "history"): Subcommand(
        "rates.rates_commands.rates_history",
        "List the versions of a rate table",
        (argument("table", metavar="TABLE"), LIMIT),
    ),
    ("rates", "rollback"): Subcommand(
        "rates.rates_commands.rates_rollback",
        "Go back to an earlier version of a rate table",
        (
            argument("table", metavar="TABLE"),
            argument(
                "--to",
                type=count,
                metavar="VERSION",
                help="back to this version (default: undo the newest); 0 is before the first",
            ),
            DRY_RUN,
        ),
    ),
    ("rates", "lookup"): Subcommand(
        "rates.rates_commands.rates_lookup",
        "Show the rate of a number",
        (
            argument("table", metavar="TABLE"),
            argument("number", metavar="NUMBER"),
            argument("--at", type=instant, metavar="T", help="the moment, by default now"),
            argument("--client", type=ClientName, metavar="NAME", help="in its time zone and currency"),
        ),
    ),
}
