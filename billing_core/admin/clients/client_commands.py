"""What the subcommands of `billing clients` do that only read: list, search, show."""

from argparse import Namespace

from billing_core.admin.clients import client_list, client_sheet, clients
from billing_core.admin.clients.client_list import Order, Page
from billing_core.admin.clients.client_search import Search
from billing_core.admin.command_line.client_selection import ROWS
from billing_core.admin.csv_export import export_csv
from billing_core.admin.database import Database
from billing_core.admin.output import OK, CommandError, Output

_AMOUNTS = ("available", "live", "fixed")


def clients_list(arguments: Namespace, database: Database, output: Output) -> int:
    """List the clients with their money."""
    return _list(arguments, database, output)


def clients_search(arguments: Namespace, database: Database, output: Output) -> int:
    """Find clients by any of their fields, and list them."""
    return _list(arguments, database, output)


def _list(arguments: Namespace, database: Database, output: Output) -> int:
    search, order = Search.of(arguments), Order(arguments.sort)
    is_for_people = not output.is_json and arguments.csv is None
    page = _page(arguments, ROWS if is_for_people else None)
    with database.engine.connect() as connection:
        if arguments.csv is not None:
            found = client_list.listed(connection, search, order, page, client_list.ALL)
            export_csv(arguments.csv, found, client_list.ALL, output)
        elif output.is_json:
            output.records(client_list.listed(connection, search, order, page), client_list.PROGRAMS)
        else:
            output.say(page.title(client_list.count(connection, search)))
            rows = client_list.listed(connection, search, order, page)
            output.records(map(client_list.for_people, rows), client_list.PEOPLE, right=_AMOUNTS)
    return OK


def _page(arguments: Namespace, rows: int | None) -> Page:
    """Return which rows are wanted; raise CommandError if there cannot be such."""
    if arguments.limit is not None:
        if arguments.rows is not None or arguments.page is not None:
            raise CommandError("--limit excludes --rows and --page: choose one")
        return Page(arguments.limit)
    if arguments.rows == 0 or arguments.page == 0:
        raise CommandError("--rows and --page begin with 1")
    if arguments.page is not None:
        rows = ROWS
    return Page(arguments.rows or rows, arguments.page or 1)


def clients_show(arguments: Namespace, database: Database, output: Output) -> int:
    """Show one client."""
    with database.engine.connect() as connection:
        client = clients.shown(connection, arguments.name, with_origin=arguments.origin)
    if output.is_json:
        output.document(client)
        return OK
    output.sheet(client_sheet.sheet(client))
    output.sheet([("Accounts", [])])
    output.records(client["accounts"], client_sheet.ACCOUNT_COLUMNS)
    return OK
