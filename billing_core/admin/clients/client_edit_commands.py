"""What the subcommands of `billing clients` do that change one client: new, set."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from billing_core.admin import prompts
from billing_core.admin.changes.change_output import change_and_tell
from billing_core.admin.changes.changes import Source
from billing_core.admin.changes.client_edits import Edit, definitions_of, written
from billing_core.admin.command_line.fields import SETTING, given
from billing_core.admin.database import Database
from billing_core.admin.definitions.client_fields import FIELDS, Kind
from billing_core.admin.found import found_client
from billing_core.admin.output import CommandError, Output
from billing_core.client import Status
from billing_core.settings import SettingsError
from billing_core.storage.tables import client

# What is asked for at a terminal; all else has a flag.
_ASKED = (
    "template",
    "currency",
    "timezone",
    "reseller",
    "rate_table",
    "postpaid",
    "credit",
    "capacity",
    "company.billing_email",
)


def clients_new(arguments: Namespace, database: Database, output: Output) -> int:
    """Define a new client; a terminal is asked for what no flag says."""
    values = _values(arguments, output)
    name = arguments.name
    if prompts.can_ask(output):
        name = name or prompts.ask("name:")
        values |= _answers(name, values.keys(), output)
    if not name:
        raise CommandError("NAME is missing; a new client needs one")

    def sources(connection: Connection) -> Sequence[Source]:
        if connection.execute(select(client.c.id).where(client.c.name == name)).first():
            raise CommandError(f'client "{name}" exists already; change him with: billing clients set')
        return [Source(definitions_of([Edit(name, values)]))]

    return change_and_tell(f"clients new {name}", sources, database, output, dry_run=arguments.dry_run)


def clients_set(arguments: Namespace, database: Database, output: Output) -> int:
    """Set fields of a client, and give others back to his template."""
    values, unset = _values(arguments, output), tuple(arguments.unset or ())
    name = arguments.new_name if arguments.new_name is not None else arguments.name
    if not values and not unset and name == arguments.name:
        raise CommandError("nothing is named to be set; see: billing clients set --help")
    with database.engine.connect() as connection:
        # If somebody changes him while we wait for our turn, we know him no longer.
        known = found_client(connection, arguments.name)
    if known.status == Status.DELETED and values.get("status", Status.DELETED.value) != Status.DELETED:
        raise CommandError(
            f'client "{known.name}" is deleted, and his accounts are off; give him back as he was with:'
            " billing clients undelete"
        )
    edit = Edit(
        name, values, unset, known.changed_in if arguments.if_version is None else arguments.if_version
    )

    def sources(connection: Connection) -> Sequence[Source]:
        found_client(connection, arguments.name)
        renames = {arguments.name: name} if name != arguments.name else {}
        return [Source(definitions_of([edit]), renames=renames)]

    return change_and_tell(
        f"clients set {arguments.name}", sources, database, output, dry_run=arguments.dry_run
    )


def _values(arguments: Namespace, output: Output) -> dict[str, Any]:
    """Return what the flags set, as a definitions file would have it."""
    found = given(arguments, SETTING)
    for key, text in found.items():
        if FIELDS[key].kind is Kind.SECRET and text == "-":
            found[key] = prompts.secret(key, output)
    return {key: written(key, text) for key, text in found.items()}


def _answers(name: str, known: Any, output: Output) -> dict[str, Any]:
    """Ask for the fields that matter most; what cannot be is told at once, and asked again."""
    output.error("Enter alone leaves a field to the template, or to its default.")
    answers: dict[str, Any] = {}
    for key in _ASKED:
        if key not in known:
            answers |= _answer(name, key, output)
    return answers


def _answer(name: str, key: str, output: Output) -> dict[str, Any]:
    while text := prompts.ask(f"{key.replace('_', ' ')}:"):
        try:
            found = {key: written(key, text)}
            definitions_of([Edit(name, found)])
        except (CommandError, SettingsError) as error:
            output.error(str(error))
        else:
            return found
    return {}
