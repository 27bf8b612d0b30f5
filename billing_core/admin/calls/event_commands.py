"""What `billing events` does: ask for the events that are wanted, and write them."""

from argparse import Namespace

from billing_core.admin.calls import events
from billing_core.admin.calls.event_texts import EventKind
from billing_core.admin.database import Database
from billing_core.admin.output import OK, Output


def events_list(arguments: Namespace, database: Database, output: Output) -> int:
    """List what happened: low balances, blocks, unbillable, ended and odd calls, changed definitions."""
    wanted = events.EventFilter(
        kind=EventKind(arguments.kind) if arguments.kind else None,
        client=arguments.client,
        since=arguments.since,
        until=arguments.until,
        limit=arguments.limit,
        shows_numbers=arguments.show_numbers,
    )
    with database.engine.connect() as connection:
        output.records(events.events(connection, wanted), events.COLUMNS)
    return OK
