"""What the subcommands of `billing accounts` do: list, add, set."""

from argparse import Namespace
from collections.abc import Sequence

from sqlalchemy import Connection

from billing_core.admin import prompts
from billing_core.admin.changes import change_output
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

    return _change(f"accounts add {arguments.client}", sources, arguments, database, output)


def accounts_set(arguments: Namespace, database: Database, output: Output) -> int:
    """Set fields of one account; all others of the client stay as they are."""
    fields = _fields(arguments, output)
    if not fields:
        raise CommandError("nothing is named to be set; see: billing accounts set --help")

    def sources(connection: Connection) -> Sequence[Source]:
        return [accounts.changed(connection, arguments.client, arguments.account, arguments.id, fields)]

    through = f"accounts set {arguments.client} {arguments.account}"
    return _change(through, sources, arguments, database, output)


def _change(
    through: str, sources: change_output.Sources, arguments: Namespace, database: Database, output: Output
) -> int:
    diff = change_output.carry_out(through, sources, database, output, dry_run=arguments.dry_run)
    change_output.tell(diff, output, dry_run=arguments.dry_run)
    return OK


def _fields(arguments: Namespace, output: Output) -> Fields:
    texts = given(arguments, SETTING)
    if texts.get("password") == "-":
        texts["password"] = prompts.secret("password", output)
    return accounts.given_fields(texts)
