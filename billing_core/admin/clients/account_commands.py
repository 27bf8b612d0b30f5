"""What the subcommands of `billing accounts` do: list, add, set."""

from argparse import Namespace
from collections.abc import Sequence

from sqlalchemy import Connection

from billing_core.admin import prompts
from billing_core.admin.changes.change_output import change_and_tell
from billing_core.admin.changes.changes import Source
from billing_core.admin.clients import accounts
from billing_core.admin.command_line.fields import SETTING, given
from billing_core.admin.database import Database
from billing_core.admin.definitions.definition import Fields
from billing_core.admin.output import OK, CommandError, Output


def accounts_list(arguments: Namespace, database: Database, output: Output) -> int:
    """List accounts: how the calls of clients are recognised."""
    with database.engine.connect() as connection:
        output.records(accounts.listed(connection, arguments.client, arguments.limit), accounts.COLUMNS)
    return OK


def accounts_add(arguments: Namespace, database: Database, output: Output) -> int:
    """Give a client one more account."""
    fields = _fields(arguments, output)

    def sources(connection: Connection) -> Sequence[Source]:
        return [accounts.added(connection, arguments.client, fields)]

    return change_and_tell(
        f"accounts add {arguments.client}", sources, database, output, dry_run=arguments.dry_run
    )


def accounts_set(arguments: Namespace, database: Database, output: Output) -> int:
    """Set fields of one account; all others of the client stay as they are."""
    fields = _fields(arguments, output)
    if not fields:
        raise CommandError("nothing is named to be set; see: billing accounts set --help")

    def sources(connection: Connection) -> Sequence[Source]:
        return [accounts.changed(connection, arguments.client, arguments.account, arguments.id, fields)]

    through = f"accounts set {arguments.client} {arguments.account}"
    return change_and_tell(through, sources, database, output, dry_run=arguments.dry_run)


def _fields(arguments: Namespace, output: Output) -> Fields:
    texts = given(arguments, SETTING)
    if texts.get("password") == "-":
        texts["password"] = prompts.secret("password", output)
    return accounts.given_fields(texts)
