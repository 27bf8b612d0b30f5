"""What `billing clients delete`, `undelete` and `full-delete` do: only the last takes anything away."""

from argparse import Namespace
from collections.abc import Sequence

from sqlalchemy import Connection, select

from billing_core.admin import prompts
from billing_core.admin.changes import change_output
from billing_core.admin.changes.audit_commands import refuse_partly
from billing_core.admin.changes.changes import Source
from billing_core.admin.changes.client_edits import Edit, definitions_of
from billing_core.admin.changes.undo import client_reversal
from billing_core.admin.clients.full_delete import Belongings, belongings, full_delete
from billing_core.admin.database import Database
from billing_core.admin.definitions.audit import Author, operator
from billing_core.admin.definitions.difference import CREATED
from billing_core.admin.found import found_client
from billing_core.admin.output import OK, CommandError, Output
from billing_core.client import Status
from billing_core.storage import schema
from billing_core.storage.tables import audit, balance

_BY_DELETING = ("status", "panel.enabled", "orig", "term")
"""The fields of a client and of his accounts that deleting changes."""


def clients_delete(arguments: Namespace, database: Database, output: Output) -> int:
    """Delete a client: its panel and accounts are switched off, and all that it has stays."""
    edit = Edit(arguments.name, {"status": Status.DELETED.value})

    def sources(connection: Connection) -> Sequence[Source]:
        found_client(connection, arguments.name)
        return [Source(definitions_of([edit]))]

    with database.engine.connect() as connection:
        found = found_client(connection, arguments.name)
        legs = _legs(connection, found.id)
    if legs and found.status != Status.DELETED:
        output.error(
            f"warning: {legs} legs of it are up; switches that end calls when asked are asked to, others let"
            " them go on for the time that was granted"
        )
    return change_output.agree_and_tell(
        f'Delete client "{found.name}" (id {found.id})? Its calls are refused then; all that it has stays.',
        f"clients delete {arguments.name}",
        sources,
        database,
        output,
        dry_run=arguments.dry_run,
        is_agreed=arguments.yes,
        more={"legs_up": legs},
    )


def _legs(connection: Connection, client_id: int) -> int:
    in_use = select(balance.c.in_use + balance.c.term_in_use).where(balance.c.client_id == client_id)
    return int(connection.execute(in_use).scalar_one())


def clients_undelete(arguments: Namespace, database: Database, output: Output) -> int:
    """Give a deleted client back the status, the panel and the accounts that he had."""
    notes: list[str] = []

    def sources(connection: Connection) -> Sequence[Source]:
        client = found_client(connection, arguments.name)
        if client.status != Status.DELETED:
            raise CommandError(f'client "{client.name}" is not deleted: his status is {client.status}')
        version = _deleted_in(connection, client.id)
        found = client_reversal(connection, version, client.id, _BY_DELETING) if version else None
        if found is None or not found.source.definitions.clients:
            raise CommandError(
                f'client "{client.name}": the audit does not tell what he was before; set him to active with:'
                " billing clients set --status active, and his accounts with: billing accounts set"
            )
        refuse_partly(found, arguments.partly)
        notes[:] = [*found.left, *found.told, *_new_accounts(connection, client.id, version)]
        return [found.source]

    through, dry_run = f"clients undelete {arguments.name}", arguments.dry_run
    diff = change_output.carry_out(through, sources, database, output, dry_run=dry_run)
    for sentence in notes:
        output.error(sentence)
    change_output.tell(diff, output, dry_run=dry_run, more={"stays": notes})
    return OK


def _deleted_in(connection: Connection, client_id: int) -> int | None:
    """Return the version that deleted him, the last if there are several."""
    is_it = (
        audit.c.client_id == client_id,
        audit.c.object_kind == "client",
        audit.c.field == "status",
        audit.c.after == Status.DELETED.value,
        audit.c.before.is_not(None),
    )
    newest = select(audit.c.version).where(*is_it).order_by(audit.c.id.desc()).limit(1)
    return connection.execute(newest).scalar()


def _new_accounts(connection: Connection, client_id: int, version: int | None) -> list[str]:
    """Say which accounts came while he was deleted: whether they are to be on nobody knows."""
    is_new = (
        audit.c.client_id == client_id,
        audit.c.object_kind == "account",
        audit.c.field == CREATED,
        audit.c.version > version,
    )
    names = connection.execute(select(audit.c.object_name).where(*is_new).order_by(audit.c.id)).scalars()
    return [f"account {name} came while he was deleted: it stays off" for name in names]


def clients_full_delete(arguments: Namespace, database: Database, output: Output) -> int:
    """Remove a client for good, with his money, records and accounts; it cannot be undone."""
    with database.engine.connect() as connection:
        has = belongings(connection, arguments.name)
    if not arguments.yes:
        _must_be_typed(has, output)
    owner = schema.engine(database.owner_url)
    try:
        author = Author(operator(), f"clients full-delete {arguments.name}")
        had = full_delete(owner, arguments.name, author, force=arguments.force)
    finally:
        owner.dispose()
    if output.is_json:
        output.document({"removed": True, **had.record()})
    else:
        output.say(f"client {had.name} is removed for good: {had}")
        output.say("what the audit says of him stays; see: billing audit --client")
    return OK


def _must_be_typed(has: Belongings, output: Output) -> None:
    """Have the client's name typed; raise CommandError unless it is."""
    if not prompts.can_ask(output):
        raise CommandError(
            f'client "{has.name}" ({has}) would be removed for good; if you are sure, add --yes'
        )
    output.error(f"client {has.name}: {has}")
    if prompts.ask("All of this is removed for good. Type the client's name to do it:") != has.name:
        raise CommandError("that is not his name; nothing was removed")
