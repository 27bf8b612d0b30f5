"""What the subcommands of `billing` do that look at the audit, or take back what stands there."""

from argparse import Namespace
from collections.abc import Sequence

from sqlalchemy import Connection

from billing_core.admin.changes import audit_search, change_output
from billing_core.admin.changes.audit_search import AuditSearch
from billing_core.admin.changes.changes import Source
from billing_core.admin.changes.undo import Reversal, reversal
from billing_core.admin.database import Database
from billing_core.admin.output import OK, CommandError, Output


def audit(arguments: Namespace, database: Database, output: Output) -> int:
    """Search the audit: who changed what, when, and through what."""
    search = AuditSearch(
        client=arguments.client,
        object=tuple(arguments.object) if arguments.object else None,
        field=arguments.field,
        who=arguments.who,
        through=arguments.through,
        value=arguments.value,
        since=arguments.since,
        until=arguments.until,
        version=arguments.version,
    )
    with database.engine.connect() as connection:
        found = audit_search.found(connection, search, arguments.limit)
        output.records(found, audit_search.COLUMNS)
    return OK


def undo(arguments: Namespace, database: Database, output: Output) -> int:
    """Take the change of a version of the definitions back, as far as nobody changed it since."""
    notes: dict[str, list[str]] = {"left": [], "stays": []}

    def sources(connection: Connection) -> Sequence[Source]:
        found = reversal(connection, arguments.version)
        refuse_partly(found, arguments.partly)
        notes.update(left=list(found.left), stays=list(found.told))
        return [found.source]

    through, dry_run = f"undo {arguments.version}", arguments.dry_run
    diff = change_output.carry_out(through, sources, database, output, dry_run=dry_run)
    for sentence in (*notes["left"], *notes["stays"]):
        output.error(sentence)
    change_output.tell(diff, output, dry_run=dry_run, more=notes)
    return OK


def refuse_partly(found: Reversal, is_agreed: bool) -> None:
    """Raise CommandError with what was changed since, unless to leave that is agreed to."""
    if found.left and not is_agreed:
        rest = "nothing was changed; with --partly all other fields go back"
        raise CommandError("\n".join((*found.left, rest)))
