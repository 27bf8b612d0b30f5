"""Clients as commands name them: found, or told with the name that was probably meant."""

from typing import Any

from sqlalchemy import Connection, Row, select

from billing_core.admin.output import CommandError
from billing_core.settings import nearest
from billing_core.storage.tables import client


def found_client(connection: Connection, name: str) -> Row[Any]:
    """Return the row of a client; raise CommandError if there is none."""
    row = connection.execute(select(client).where(client.c.name == name)).first()
    if row is None:
        raise unknown_client(connection, name)
    return row


def unknown_client(connection: Connection, name: str) -> CommandError:
    """Return the error that there is no client *name*, with the name that was probably meant."""
    names = connection.execute(select(client.c.name)).scalars()
    return CommandError(f'client "{name}" is not known{nearest(name, names)}')
