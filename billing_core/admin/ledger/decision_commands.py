"""What `billing xdrs charge` and `billing xdrs waive` do: decide what became of time that cannot be true."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict

from billing_core.admin import prompts
from billing_core.admin.calls.xdr_ids import short
from billing_core.admin.database import Database
from billing_core.admin.definitions.audit import Author, operator
from billing_core.admin.ledger import decisions, undecided
from billing_core.admin.ledger.decisions import Decisions, Outcome
from billing_core.admin.ledger.undecided import Candidate, Selection
from billing_core.admin.output import OK, CommandError, Output, instant, readable
from billing_core.money import plain
from billing_core.xdr import Unbillable

_SHOWN_MAX = 100
_SELECTING = ("reason", "nas", "since")


def charge(arguments: Namespace, database: Database, output: Output) -> int:
    """Charge a record whose time cannot be true, or all that are selected."""
    if arguments.seconds == 0:
        raise CommandError("--seconds 0 costs nothing; say so with `billing xdrs waive`")
    if arguments.seconds is not None and arguments.id is None:
        raise CommandError(
            "--seconds is for one record, named by its ID; without it each is charged as it told"
        )
    return _decide("charge", arguments.seconds, arguments, database, output)


def waive(arguments: Namespace, database: Database, output: Output) -> int:
    """Charge nothing for a record that could not be charged, or for all that are selected."""
    return _decide("waive", 0, arguments, database, output)


def _decide(verb: str, seconds: int | None, arguments: Namespace, database: Database, output: Output) -> int:
    candidates = _candidates(arguments, database)
    author = Author(operator(), _through(verb, seconds, arguments))

    def outcome(*, is_dry: bool) -> Outcome:
        return Decisions(database.url, seconds, database.limits, author, is_dry=is_dry).outcome(candidates)

    is_bulk = arguments.id is None
    dry_run = arguments.dry_run or (is_bulk and not arguments.yes)
    found = outcome(is_dry=dry_run)
    if not is_bulk:
        for left in found.left:
            raise CommandError(f'record "{arguments.id}": {left["because"]}')
    _show(found, output)
    may_agree = dry_run and not arguments.dry_run
    if may_agree and found.records and prompts.agreed(f"{verb.capitalize()} them?", output):
        dry_run = False
        found = outcome(is_dry=False)
    _tell(verb, found, output, dry_run=dry_run)
    if dry_run and may_agree and found.records:
        return prompts.not_agreed("nothing was decided", f"{verb} them", output)
    return OK


def _candidates(arguments: Namespace, database: Database) -> Sequence[Candidate]:
    """Return what is named by an ID or selected; raise CommandError unless it is one of the two."""
    given = [name for name in (*_SELECTING, "until", "client") if getattr(arguments, name) is not None]
    if arguments.id is not None:
        if given:
            raise CommandError(f"--{given[0]} selects records, and ID names one: choose one of them")
        with database.engine.connect() as connection:
            return [undecided.named(connection, arguments.id)]
    if missing := [name for name in _SELECTING if name not in given]:
        raise CommandError(
            "no record is named; write its ID, or select some with --reason, --nas and --since:"
            f" --{missing[0]} is missing"
        )
    selection = Selection(
        Unbillable(arguments.reason), arguments.nas, arguments.since, arguments.until, arguments.client
    )
    with database.engine.connect() as connection:
        return undecided.selected(connection, selection)


def _through(verb: str, seconds: int | None, arguments: Namespace) -> str:
    """Return the command as the audit keeps it."""
    words = ["xdrs", verb]
    if arguments.id is not None:
        words.append(arguments.id)
    else:
        words += ["--reason", arguments.reason, "--nas", arguments.nas, "--since", instant(arguments.since)]
    if arguments.until is not None:
        words += ["--until", instant(arguments.until)]
    if arguments.client is not None:
        words += ["--client", arguments.client]
    if verb == "charge" and seconds is not None:
        words += ["--seconds", str(seconds)]
    return " ".join(words)


def _show(found: Outcome, output: Output) -> None:
    """Show people the records that are decided, and those that can't be."""
    if output.is_json:
        return
    if found.records:
        shown = [{**record, "id": short(record["id"])} for record in found.records[:_SHOWN_MAX]]
        output.records(shown, decisions.COLUMNS)
    if (more := len(found.records) - _SHOWN_MAX) > 0:
        output.say(f"... and {more} more; --json shows all")
    for left in found.left:
        output.error(f"{short(left['id'])} of call {readable(left['call_id'])} is left: {left['because']}")


def _tell(verb: str, found: Outcome, output: Output, *, dry_run: bool) -> None:
    """Say how it ended."""
    if output.is_json:
        output.document({"dry_run": dry_run, **asdict(found)})
        return
    done = {"charge": "charged", "waive": "waived"}[verb]
    output.say(f"{len(found.records)} records {'would be ' if dry_run else ''}{done}")
    for currency, total in sorted(found.totals.items()):
        output.say(f"live balances in {currency} change by {plain(total)}")
    for currency, total in sorted(found.released.items()):
        output.say(f"{plain(total)} {currency} is set aside no more")
    if found.unchanged:
        output.say(f"{found.unchanged} records were decided so before")
    if found.overtaken:
        output.say(f"{found.overtaken} records were passed over: they changed meanwhile; look again")
    if dry_run:
        output.say("dry run: nothing was decided")
