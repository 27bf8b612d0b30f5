"""What the subcommands of `billing` do that look at the audit, or take back what stands there."""

from argparse import Namespace

from billing_core.admin import audit_search
from billing_core.admin.audit_search import AuditSearch
from billing_core.admin.database import Database
from billing_core.admin.output import OK, Output


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
