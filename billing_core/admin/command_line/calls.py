"""What is written after `billing` about calls: what one would get, those under way, and finished ones."""

from billing_core.admin.command_line.arguments import (
    CSV,
    LIMIT,
    NEWEST,
    PERIOD,
    SHOW_NUMBERS,
    Subcommand,
    Subcommands,
    argument,
    count,
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
            argument("--client", metavar="NAME"),
            argument("--unbillable", action="store_true", help="only what could not be charged"),
            argument("--call", metavar="ID", help="only this call id or session id"),
            *PERIOD,
            NEWEST,
            SHOW_NUMBERS,
            CSV,
        ),
    ),
    ("explain",): Subcommand(
        "calls.call_commands.explain_call",
        "Tell everything that decided on a call and its price",
        (argument("call", metavar="CALL", help="a call id, session id or leg key in hexadecimal"),),
    ),
}
