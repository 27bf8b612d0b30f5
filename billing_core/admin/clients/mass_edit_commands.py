"""What `billing clients mass-edit` does: one change of all clients that are selected, agreed to when seen."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from billing_core.admin.changes import change_output
from billing_core.admin.changes.changes import Source
from billing_core.admin.changes.client_edits import Edit, definitions_of, written
from billing_core.admin.clients.client_search import Search
from billing_core.admin.database import Database
from billing_core.admin.definitions.client_fields import FIELDS, Kind
from billing_core.admin.definitions.inventory import among
from billing_core.admin.found import unknown_client
from billing_core.admin.output import CommandError, Output
from billing_core.settings import nearest
from billing_core.storage.tables import client


def clients_mass_edit(arguments: Namespace, database: Database, output: Output) -> int:
    """Set fields of all clients that are selected, showing first what changes."""
    values = dict(_setting(text) for text in arguments.set or ())
    unset = tuple(arguments.unset or ())
    if not values and not unset:
        raise CommandError("nothing is named to be set; name it with --set FIELD=VALUE or --unset FIELD")
    search = _search(arguments)

    def sources(connection: Connection) -> Sequence[Source]:
        names = _selected(connection, search, arguments.client)
        output.say(f"{len(names)} clients are selected")
        return [Source(definitions_of(Edit(name, values, unset) for name in names))]

    through = " ".join(
        (
            "clients mass-edit",
            *(f"--set {text}" for text in arguments.set or ()),
            *(f"--unset {key}" for key in unset),
        )
    )
    return change_output.agree_and_tell(
        "Change them?",
        through,
        sources,
        database,
        output,
        dry_run=arguments.dry_run,
        is_agreed=arguments.yes,
    )


def _setting(text: str) -> tuple[str, Any]:
    """Return the field and the value of `FIELD=VALUE`, as a definitions file would have it."""
    key, is_there, value = text.partition("=")
    if not is_there:
        raise CommandError(f'--set "{text}" has no value; write FIELD=VALUE, as credit=10.00')
    if key not in FIELDS:
        raise CommandError(f'--set: "{key}" is not a field of clients{nearest(key, FIELDS)}')
    if FIELDS[key].kind is Kind.SECRET:
        raise CommandError(f"--set: {key} is each client's own; set it with: billing clients set")
    return key, written(key, value)


def _search(arguments: Namespace) -> Search | None:
    """Return the search that selects, None for names; raise CommandError unless it is one of the two."""
    search = Search.of(arguments)
    is_search = search.wanted.keys() - {"status"} or search.wanted.get("status") != "active"
    if arguments.client and is_search:
        raise CommandError("--client excludes a search: choose one")
    if not arguments.client and not is_search:
        raise CommandError('nobody is selected; name them with --client or by a search, as --name "*"')
    return None if arguments.client else search


def _selected(connection: Connection, search: Search | None, names: Sequence[str] | None) -> list[str]:
    """Return the names of those selected; raise CommandError for one who is not known."""
    wanted = among(client.c.name, names or ()) if search is None else client.c.id.in_(search.ids(connection))
    found = list(connection.execute(select(client.c.name).where(wanted).order_by(client.c.id)).scalars())
    for name in names or ():
        if name not in found:
            raise unknown_client(connection, name)
    return found
