"""Clients who are called otherwise from now on: it comes before all else that a change does to them."""

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection, func, select, update

from billing_core.admin.definitions.difference import Change
from billing_core.admin.found import found_client
from billing_core.admin.output import CommandError
from billing_core.block import BlockKind
from billing_core.storage.tables import block, client, watch

NAME = "name"


def rename(connection: Connection, renames: Mapping[str, str]) -> Iterator[Change]:
    """Rename clients, and those blocks and watches that name them, and yield each change.

    Raises CommandError for one who is not known, and for a name that is another's.
    """
    for old, new in renames.items():
        found = found_client(connection, old)
        if connection.execute(select(client.c.id).where(client.c.name == new)).first():
            raise CommandError(f'client {old}: --name: "{new}" is the name of another client')
        connection.execute(update(client).where(client.c.id == found.id).values(name=new))
        of_client = block.c.kind == BlockKind.CLIENT.value, block.c.value == old
        connection.execute(update(block).where(*of_client).values(value=new))
        watches = select(watch.c.id).where(watch.c.clients.contains([old]))
        replaced = update(watch).where(watch.c.id.in_(watches))
        connection.execute(replaced.values(clients=func.array_replace(watch.c.clients, old, new)))
        yield Change("client", old, NAME, old, new, found.id)


def renamed_ids(changes: Iterable[Change]) -> dict[str, int | None]:
    """Return the ids of those who are renamed, by their old names."""
    return {
        change.name: change.object_id for change in changes if (change.kind, change.field) == ("client", NAME)
    }
