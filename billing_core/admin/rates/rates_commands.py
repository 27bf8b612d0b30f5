"""What each subcommand of `billing rates` does: ask a module for values, and write them."""

from argparse import Namespace

from sqlalchemy import Connection

from billing_core.admin import prompts
from billing_core.admin.database import Database
from billing_core.admin.definitions.audit import Author, operator
from billing_core.admin.definitions.difference import RatesChange
from billing_core.admin.found import found_client
from billing_core.admin.locks import moment
from billing_core.admin.output import OK, Output
from billing_core.admin.progress import ProgressBar
from billing_core.admin.rates.rates import found_rate_table, lookup
from billing_core.admin.rates.rates_changes import Mode
from billing_core.admin.rates.rates_import import Done, Order, import_rates, roll_back
from billing_core.admin.rates.rates_versions import HISTORY_COLUMNS, Rollback, history
from billing_core.client import Client
from billing_core.storage.definition_rows import client_of


def rates_import(arguments: Namespace, database: Database, output: Output) -> int:
    """Import a rates file into a rate table, showing first what changes."""
    order = Order(
        arguments.table,
        arguments.file,
        Mode(arguments.mode),
        arguments.sheet,
        arguments.jump,
        arguments.dry_run,
        arguments.yes,
    )
    author = Author(operator(), f"rates import {order.table} {order.file}")

    with database.engine.connect() as connection, ProgressBar() as bar:

        def show(change: RatesChange) -> None:
            bar.hide()
            _show(change, output)

        def agree(_change: RatesChange) -> bool:
            return prompts.agreed("Import all the same?", output)

        done = import_rates(connection, order, author, show=show, agree=agree, progress=bar)
    _tell(done, arguments.dry_run, output)
    return OK


def rates_history(arguments: Namespace, database: Database, output: Output) -> int:
    """List the versions of a rate table."""
    with database.engine.connect() as connection:
        table = found_rate_table(connection, arguments.table)
        output.records(history(connection, table.id, arguments.limit), HISTORY_COLUMNS)
    return OK


def rates_rollback(arguments: Namespace, database: Database, output: Output) -> int:
    """Go back to an earlier version of a rate table."""
    to = "" if arguments.to is None else f" --to {arguments.to}"
    author = Author(operator(), f"rates rollback {arguments.table}{to}")

    def show(rollback: Rollback) -> None:
        where = f"version {rollback.to}" if rollback.to else "before the first version"
        output.say(f"back to {where}")
        _show(rollback.change, output)

    with database.engine.connect() as connection:
        done = roll_back(
            connection, arguments.table, arguments.to, author, show=show, is_dry_run=arguments.dry_run
        )
    _tell(done, arguments.dry_run, output)
    return OK


def rates_lookup(arguments: Namespace, database: Database, output: Output) -> int:
    """Show the rate of a number."""
    with database.engine.connect() as connection:
        client = None if arguments.client is None else _client(connection, arguments.client)
        at = arguments.at or moment(connection)
        output.record(lookup(connection, arguments.table, arguments.number, at, client))
    return OK


def _show(change: RatesChange, output: Output) -> None:
    output.say(str(change))
    for warning in change.warnings:
        output.error(f"warning: {warning}")
    if (more := change.warned - len(change.warnings)) > 0:
        output.error(f"warning: ... and {more} more")


def _tell(done: Done, is_dry_run: bool, output: Output) -> None:
    """Say how it ended; what changed has been shown."""
    if output.is_json:
        counts = {"warned": done.change.warned, "warnings": list(done.change.warnings)}
        output.document({**done.change.record(), **counts, "dry_run": is_dry_run, "version": done.version})
    elif is_dry_run:
        output.say("dry run: nothing was changed")
    elif done.version is not None:
        output.say(f"done as version {done.version}")


def _client(connection: Connection, name: str) -> Client:
    return client_of(found_client(connection, name)._asdict(), ())
