"""What the subcommands of `billing` do that are about the ledger: book, list, rate again, drop months."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice

from billing_core.admin.database import Database
from billing_core.admin.definitions.audit import operator
from billing_core.admin.ledger import months, payments, transactions, verify
from billing_core.admin.ledger.rerate import COLUMNS, Rerating, Scope, Summary
from billing_core.admin.output import FAILED, OK, CommandError, Output, Record, readable
from billing_core.ledger import EntryKind
from billing_core.money import plain
from billing_core.storage import schema

_LEGS_SHOWN_MAX = 100


def payment(arguments: Namespace, database: Database, output: Output) -> int:
    """Book a payment; a negative one takes money back."""
    return _book(EntryKind.PAYMENT, arguments, database, output)


def refund(arguments: Namespace, database: Database, output: Output) -> int:
    """Book money given back to a client."""
    return _book(EntryKind.REFUND, arguments, database, output)


def charge(arguments: Namespace, database: Database, output: Output) -> int:
    """Book something else than calls that a client pays."""
    return _book(EntryKind.CHARGE, arguments, database, output)


def correction(arguments: Namespace, database: Database, output: Output) -> int:
    """Put a balance right; a negative amount takes money."""
    return _book(EntryKind.CORRECTION, arguments, database, output)


def invoice(arguments: Namespace, database: Database, output: Output) -> int:
    """Book what was invoiced, on the fixed balance alone; a negative amount takes an invoice back."""
    return _book(EntryKind.INVOICE, arguments, database, output)


def _book(kind: EntryKind, arguments: Namespace, database: Database, output: Output) -> int:
    if kind is EntryKind.INVOICE and arguments.reference is None:
        raise CommandError(
            "--reference is missing; name the invoice, as --reference 2026-0042: without it the same one"
            " could be booked twice"
        )
    if arguments.reference is not None and not arguments.reference.strip():
        # What a script did not fill in would let the same money be booked again.
        raise CommandError("--reference is empty; name what makes this entry the only one, or leave it out")
    order = payments.Order(
        kind,
        arguments.name,
        payments.amount(arguments.amount, kind),
        arguments.reference,
        arguments.reason,
        operator(),
    )
    booked = payments.book(database.engine, order)
    if output.is_json:
        output.document(asdict(booked))
    else:
        what = "already booked" if booked.already_booked else "booked"
        of_kind = "" if kind is EntryKind.PAYMENT else f" {kind.value} of"
        output.say(
            f"{what}:{of_kind} {plain(booked.amount)} {booked.currency} of client {readable(booked.client)}"
            f" (id {booked.client_id}); {_moved(booked)}"
        )
    return OK


def _moved(booked: payments.Payment) -> str:
    """Return the balance that the booking is about, with what it was before if it has changed."""
    is_invoice = booked.kind is EntryKind.INVOICE
    name = "fixed" if is_invoice else "live"
    before, now = (booked.fixed_before, booked.fixed) if is_invoice else (booked.live_before, booked.live)
    told = plain(now) if now == before else f"{plain(before)} -> {plain(now)}"
    unmoved = f", live balance {plain(booked.live)} {booked.currency} as before" if is_invoice else ""
    return f"{name} balance {told} {booked.currency}{unmoved}"


def transactions_list(arguments: Namespace, database: Database, output: Output) -> int:
    """List what changed a client's balance, and the balance it led to."""
    with database.engine.connect() as connection:
        found = transactions.transactions(
            connection,
            arguments.name,
            arguments.since,
            arguments.until,
            arguments.limit,
            shows_numbers=arguments.show_numbers,
        )
        output.records(found, transactions.COLUMNS)
    return OK


def rerate(arguments: Namespace, database: Database, output: Output) -> int:
    """Rate ended legs again by today's rates, and post the differences."""
    scope = Scope(
        client=arguments.client,
        table=arguments.table,
        since=arguments.since,
        until=arguments.until,
        is_unbillable=arguments.unbillable,
    )
    rerating = Rerating(database.url, scope, database.limits, is_dry=not arguments.yes)
    with database.engine.connect() as connection:
        lines = rerating.lines(connection)
        legs = list(lines) if output.is_json else list(islice(lines, _LEGS_SHOWN_MAX))
        more = sum(1 for _ in lines)
    if output.is_json:
        output.document({"dry_run": not arguments.yes, "legs": legs, **asdict(rerating.summary)})
        return OK
    output.records(legs, COLUMNS)
    if more:
        output.say(f"... and {more} more; --json shows all")
    _say_summary(rerating.summary, output, is_dry=not arguments.yes)
    return OK


def _say_summary(summary: Summary, output: Output, *, is_dry: bool) -> None:
    output.say(f"{summary.checked} legs looked at, {summary.changed} cost something else")
    for currency, total in sorted(summary.totals.items()):
        output.say(f"live balances in {currency} change by {plain(total)}")
    if summary.kept:
        output.say(f"{summary.kept} legs keep their charge: no rate fits them today")
    if summary.overtaken:
        output.say(f"{summary.overtaken} legs were passed over: a record came in between; run it again")
    if is_dry:
        output.say("dry run: nothing was posted; post it with --yes")


def months_list(arguments: Namespace, database: Database, output: Output) -> int:
    """List the months of records that are kept, and those that were dropped."""
    schema.extend(database.owner_url)
    with database.engine.connect() as connection:
        output.records(months.listed(connection), months.LIST_COLUMNS)
    return OK


def months_drop(arguments: Namespace, database: Database, output: Output) -> int:
    """Drop the records of a month, leaving one entry for each client."""
    wanted = months.month(arguments.month)
    # What waits in the default partition belongs to its month, too.
    schema.extend(database.owner_url)
    owner = schema.engine(database.owner_url)
    try:
        dropped = months.drop(owner, wanted, operator(), is_sure=arguments.yes)
    finally:
        owner.dispose()
    if output.is_json:
        output.document(asdict(dropped))
        return OK
    output.say(
        f"month {dropped.month}: {dropped.entries} entries of {dropped.clients} clients, {dropped.xdrs} xDRs,"
        f" {dropped.decisions} decisions, {dropped.unknown_records} records of unknown kinds,"
        f" {dropped.disconnects} disconnects"
    )
    carried = "dropped; the sum of each client's entries is carried forward"
    output.say(carried if dropped.is_done else "dry run: nothing was dropped; drop it with --yes")
    return OK


_SHOWN_MAX = 20


def _tell_found(what: str, found: Sequence[Record], output: Output) -> None:
    for record in found[:_SHOWN_MAX]:
        words = ", ".join(f"{key} {readable(value)}" for key, value in record.items())
        output.error(f"{what}: {words}")
    if (more := len(found) - _SHOWN_MAX) > 0:
        output.error(f"{what}: ... and {more} more; --json shows all")


def verify_all(arguments: Namespace, database: Database, output: Output) -> int:
    """Check the rules of the money, and fail when one is broken.

    What only looks like cheating is told, too, as a warning.
    """
    findings, warned = verify.verify(database.engine, database.limits)
    is_sound = not any(finding.differences for finding in findings)
    if output.is_json:
        found = {"invariants": [finding.record() for finding in findings]}
        output.document({"ok": is_sound, **found, "warnings": [warning.record() for warning in warned]})
        return OK if is_sound else FAILED
    summary = [{**finding.record(), "differences": len(finding.differences)} for finding in findings]
    output.records(summary, ("invariant", "checked", "differences"))
    for finding in findings:
        if finding.left_out:
            output.say(f"{finding.invariant}: {finding.left_out} not checked, since their month was dropped")
        _tell_found(finding.invariant, finding.differences, output)
    for warning in warned:
        _tell_found(f"warning: {warning.warning}", warning.found, output)
    return OK if is_sound else FAILED
