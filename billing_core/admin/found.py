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


def own_name(connection: Connection, typed: str) -> str:
    """Return the name of the client that *typed* means: exactly that, else the one that differs in case only.

    A name that fits nobody comes back as it is. Raises CommandError where several fit.
    """
    if connection.execute(select(client.c.id).where(client.c.name == typed)).first() is not None:
        return typed
    names = connection.execute(select(client.c.name).order_by(client.c.name)).scalars()
    fitting = [name for name in names if name.casefold() == typed.casefold()]
    if len(fitting) > 1:
        told = " and ".join(f'"{name}"' for name in fitting)
        raise CommandError(f'client "{typed}" fits {told}: write the one that is meant as it is')
    return fitting[0] if fitting else typed


def unknown_client(connection: Connection, name: str) -> CommandError:
    """Return the error that there is no client *name*, with the name that was probably meant."""
    names = connection.execute(select(client.c.name)).scalars()
    return CommandError(f'client "{name}" is not known{nearest(name, names)}')
