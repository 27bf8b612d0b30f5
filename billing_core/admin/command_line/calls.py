"""What is written after `billing` about calls: what one would get, those under way, and finished ones."""

from billing_core.admin.command_line.arguments import (
    CSV,
    DRY_RUN,
    LIMIT,
    NEWEST,
    PERIOD,
    SHOW_NUMBERS,
    ClientName,
    Subcommand,
    Subcommands,
    argument,
    count,
)

REASONS = (
    "no_account",
    "no_rate",
    "no_duration",
    "implausible_duration",
    "overrun",
    "contradictory_time",
)
"""The values of `Unbillable`, which is not imported to read a command line."""

_REASON = argument(
    "--reason",
    choices=REASONS,
    help="only what could not be charged for this reason",
)
_NAS = argument("--nas", metavar="NAS", help="only of this switch")
# One record by its id, or all that are selected.
_DECIDED = (
    argument("id", nargs="?", metavar="ID", help="the record's id, or as much of its beginning as is needed"),
    _REASON,
    _NAS,
    *PERIOD,
    argument("--client", type=ClientName, metavar="NAME"),
    argument("--yes", action="store_true", help="decide all that is selected without asking"),
    DRY_RUN,
)

SUBCOMMANDS: Subcommands = {
    ("quote",): Subcommand(
        "calls.call_commands.quote_call",
        "Show what a call would get now, and cost",
        (
            argument("--account", required=True, metavar="A", help="name, IP or ANI of an account"),
            argument("--to", required=True, metavar="NUMBER", help="the number as dialled"),
            argument("--seconds", type=count, metavar="N", help="also tell what so long a call costs"),
        ),
    ),
    ("calls",): Subcommand(
        "calls.call_commands.calls",
        "List the legs under way",
        (LIMIT, SHOW_NUMBERS),
    ),
    ("xdrs",): Subcommand(
        "calls.call_commands.xdrs",
        "List finished legs, or write them as CSV",
        (
            argument("--client", type=ClientName, metavar="NAME"),
            argument("--unbillable", action="store_true", help="only what could not be charged"),
            _REASON,
            _NAS,
            argument("--call", metavar="ID", help="only this call id or session id"),
            *PERIOD,
            NEWEST,
            SHOW_NUMBERS,
            CSV,
        ),
    ),
    ("xdrs", "charge"): Subcommand(
        "ledger.decision_commands.charge",
        "Charge a record whose time cannot be true, or all that are selected",
        (
            *_DECIDED,
            argument("--seconds", type=count, metavar="N", help="so long it lasted (default: as it told)"),
        ),
    ),
    ("xdrs", "waive"): Subcommand(
        "ledger.decision_commands.waive",
        "Charge nothing for a record that could not be charged, or for all that are selected",
        _DECIDED,
    ),
    ("explain",): Subcommand(
        "calls.call_commands.explain_call",
        "Tell everything that decided on a call and its price",
        (argument("call", metavar="CALL", help="a call id, session id, leg key or record's id"),),
    ),
}
