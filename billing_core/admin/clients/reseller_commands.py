"""What each subcommand of `billing resellers` does: ask a module for values, and write them."""

from argparse import Namespace

from billing_core.admin.clients import resellers
from billing_core.admin.database import Database
from billing_core.admin.output import OK, Output


def resellers_list(arguments: Namespace, database: Database, output: Output) -> int:
    """List the resellers as a tree, with the legs under way at each level."""
    with database.engine.connect() as connection:
        output.records(resellers.listed(connection, arguments.limit), resellers.COLUMNS)
    return OK


def resellers_show(arguments: Namespace, database: Database, output: Output) -> int:
    """Show one reseller."""
    with database.engine.connect() as connection:
        output.record(resellers.shown(connection, arguments.name))
    return OK
