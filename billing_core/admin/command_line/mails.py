"""What is written after `billing mailer` and `billing mails`."""

from billing_core.admin.command_line.arguments import (
    PERIOD,
    ClientName,
    Subcommand,
    Subcommands,
    argument,
    count,
)

_STATES = ("waiting", "sent", "failed")

SUBCOMMANDS: Subcommands = {
    ("mailer",): Subcommand(
        "mail.mail_commands.mailer",
        "Send the mails that wait, until TERM or INT, or once",
        (argument("--once", action="store_true", help="send what is due now, and stop"),),
    ),
    ("mails", "list"): Subcommand(
        "mail.mail_commands.mails_list",
        "List mails that wait, were sent or failed",
        (
            argument("--client", type=ClientName, metavar="NAME"),
            argument("--state", choices=_STATES),
            argument("--kind", metavar="KIND", help="only mails of this kind, as low_balance"),
            argument("--recipient", metavar="TEXT", help="only to addresses with TEXT in them"),
            *PERIOD,
            argument("--limit", type=count, metavar="N", help="only the newest N"),
        ),
    ),
    ("mails", "show"): Subcommand(
        "mail.mail_commands.mails_show",
        "Show one mail",
        (argument("mail", type=count, metavar="ID"),),
    ),
    ("mails", "retry"): Subcommand(
        "mail.mail_commands.mails_retry",
        "Let mails that failed be tried again, from the first attempt on",
        (argument("mails", type=count, nargs="+", metavar="ID"),),
    ),
}
