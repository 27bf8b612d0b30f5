"""What is written after `billing events`."""

from billing_core.admin.command_line.arguments import (
    NEWEST,
    PERIOD,
    SHOW_NUMBERS,
    ClientName,
    Subcommand,
    Subcommands,
    argument,
)

EVENT_KINDS = (
    "low_balance",
    "blocked",
    "unbillable",
    "disconnected",
    "configuration",
    "another_dialog",
    "another_number",
    "guessed_leg",
    "number_differs",
    "failed_after_answer",
    "late_start",
    "overrun",
    "over_grant",
    "contradictory_time",
    "after_decision",
)
"""The values of `EventKind`, which is not imported to read a command line."""

SUBCOMMANDS: Subcommands = {
    ("events",): Subcommand(
        "calls.event_commands.events_list",
        "List what happened: low balances, blocks, unbillable, ended and odd calls, changed definitions",
        (
            argument("--kind", choices=EVENT_KINDS, help="only of this kind"),
            argument("--client", type=ClientName, metavar="NAME"),
            *PERIOD,
            NEWEST,
            SHOW_NUMBERS,
        ),
    ),
}
