"""What is written after `billing` about money: bookings, rating again, months, and the rules."""

from billing_core.admin.command_line.arguments import (
    NAME,
    NEWEST,
    PERIOD,
    SHOW_NUMBERS,
    Argument,
    ClientName,
    Subcommand,
    Subcommands,
    argument,
)


def _booking(amount: str, *, needs_reason: bool = False) -> tuple[Argument, ...]:
    return (
        NAME,
        argument("amount", metavar="AMOUNT", help=amount),
        argument("--reason", metavar="TEXT", required=needs_reason, help="is kept with the entry"),
        argument("--reference", metavar="KEY", help="books only one entry of the client under KEY"),
    )


SUBCOMMANDS: Subcommands = {
    ("payment",): Subcommand(
        "ledger.ledger_commands.payment",
        "Book a payment; a negative one takes money back",
        _booking('as "12.50"; negative takes money back'),
    ),
    ("refund",): Subcommand(
        "ledger.ledger_commands.refund",
        "Book money given back to a client",
        _booking('what is given back, as "12.50"', needs_reason=True),
    ),
    ("charge",): Subcommand(
        "ledger.ledger_commands.charge",
        "Book something else than calls that a client pays",
        _booking('what is to be paid, as "12.50"', needs_reason=True),
    ),
    ("correction",): Subcommand(
        "ledger.ledger_commands.correction",
        "Put a balance right; a negative amount takes money",
        _booking('as "12.50"; negative takes money', needs_reason=True),
    ),
    ("invoice",): Subcommand(
        "ledger.ledger_commands.invoice",
        "Book what was invoiced, on the fixed balance alone; a negative amount takes an invoice back",
        _booking('what was invoiced, as "12.50"'),
    ),
    ("transactions",): Subcommand(
        "ledger.ledger_commands.transactions_list",
        "List what changed a client's balance, and the balance it led to",
        (
            NAME,
            *PERIOD,
            NEWEST,
            SHOW_NUMBERS,
        ),
    ),
    ("rerate",): Subcommand(
        "ledger.ledger_commands.rerate",
        "Rate ended legs again by today's rates, and post the differences",
        (
            argument("--client", type=ClientName, metavar="NAME"),
            argument("--table", metavar="NAME", help="only by this rate table or one that falls back on it"),
            *PERIOD,
            argument("--unbillable", action="store_true", help="only what could not be charged"),
            argument("--yes", action="store_true", help="post the differences instead of showing them"),
        ),
    ),
    ("months", "list"): Subcommand(
        "ledger.ledger_commands.months_list",
        "List the months of records that are kept, and those that were dropped",
        (),
    ),
    ("months", "drop"): Subcommand(
        "ledger.ledger_commands.months_drop",
        "Drop the records of a month, leaving one entry for each client",
        (
            argument("month", metavar="YYYY-MM"),
            argument("--yes", action="store_true", help="drop it instead of only showing what it holds"),
        ),
    ),
    ("verify",): Subcommand(
        "ledger.ledger_commands.verify_all",
        "Check the rules of the money, and fail when one is broken",
        (),
    ),
}
