"""What is written after `billing accounts`: flags for each field of an account, as of a client's."""

from billing_core.admin.command_line.arguments import (
    DRY_RUN,
    LIMIT,
    Argument,
    ClientName,
    Subcommand,
    Subcommands,
    argument,
    count,
)
from billing_core.admin.command_line.fields import SETTING
from billing_core.admin.definitions.client_fields import flag

_CLIENT = argument("client", type=ClientName, metavar="CLIENT", help="the client's name")

_FIELDS = (
    ("name", "TEXT", "the User-Name of his calls; needs a password"),
    ("password", "-", "asks for it, or reads it from standard input"),
    ("ip", "ADDRESS", "the caller's address, not the switch's"),
    ("ani", "NUMBER", "the caller's number"),
    ("tech_prefix", "DIGITS", "only calls to numbers that begin so"),
    ("capacity", "N", 'the most legs up at once; "" is no limit'),
    ("orig", "true|false", "whether he sends us calls by it"),
    ("term", "true|false", "whether we send him calls to it"),
    ("price_per_minute_max", "AMOUNT", 'refuse calls whose minute costs more; "" is no limit'),
)


def _flags() -> tuple[Argument, ...]:
    return tuple(
        argument(flag(key), dest=f"{SETTING} {key}", metavar=says, help=help) for key, says, help in _FIELDS
    )


SUBCOMMANDS: Subcommands = {
    ("accounts", "list"): Subcommand(
        "clients.account_commands.accounts_list",
        "List accounts: how the calls of clients are recognised",
        (argument("--client", type=ClientName, metavar="NAME", help="only this client's"), LIMIT),
    ),
    ("accounts", "add"): Subcommand(
        "clients.account_commands.accounts_add",
        "Give a client one more account",
        (_CLIENT, *_flags(), DRY_RUN),
    ),
    ("accounts", "set"): Subcommand(
        "clients.account_commands.accounts_set",
        "Set fields of one account; all others of the client stay as they are",
        (
            _CLIENT,
            argument("account", metavar="ACCOUNT", help="its name, else its address, else its number"),
            argument("--id", type=count, metavar="N", help="of several that are called so, this one"),
            *_flags(),
            DRY_RUN,
        ),
    ),
}
