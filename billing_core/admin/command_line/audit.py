"""What is written after `billing` to search the audit, and to take a change back."""

from billing_core.admin.command_line.arguments import (
    DRY_RUN,
    PARTLY,
    ClientName,
    Subcommand,
    Subcommands,
    argument,
    count,
    instant,
)

SUBCOMMANDS: Subcommands = {
    ("audit",): Subcommand(
        "changes.audit_commands.audit",
        "Search the audit: who changed what, when, and through what",
        (
            argument(
                "--client",
                type=ClientName,
                metavar="NAME",
                help="what concerns it and its accounts",
            ),
            argument(
                "--object",
                nargs=2,
                metavar=("KIND", "NAME"),
                help='only one object, as: template VIP; an account is called "CLIENT/ACCOUNT"',
            ),
            argument("--field", metavar="F", help="only this field, as credit or low_balance.capacity"),
            argument("--who", metavar="W", help="only what this user of the machine changed"),
            argument("--through", metavar="T", help='only what came through this, as "clients set"'),
            argument("--value", metavar="V", help="only from or to this value; * is a wildcard"),
            argument(
                "--since",
                "--from",
                dest="since",
                type=instant,
                metavar="T",
                help="only what is dated T or later",
            ),
            argument("--to", dest="until", type=instant, metavar="T", help="only what is dated before T"),
            argument("--version", type=count, metavar="N", help="only version N of the definitions"),
            argument("--limit", type=count, metavar="N", help="only the newest N"),
        ),
    ),
    ("undo",): Subcommand(
        "changes.audit_commands.undo",
        "Take the change of a version of the definitions back, as far as nobody changed it since",
        (
            argument("version", type=count, metavar="VERSION", help="as `billing audit` tells it"),
            PARTLY,
            DRY_RUN,
        ),
    ),
}
