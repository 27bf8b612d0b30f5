"""`billing export`: definitions, to be kept, edited and applied again."""

import sys
from argparse import Namespace

from billing_core.admin.clients.client_search import Search
from billing_core.admin.clients.export import Form, exported, head
from billing_core.admin.database import Database
from billing_core.admin.output import OK, Output


def export(arguments: Namespace, database: Database, output: Output) -> int:
    """Write clients, and what they refer to, as a definitions file that can be applied."""
    search = Search.of(arguments)
    form = Form(arguments.secrets, arguments.guarded)
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        definitions = exported(connection, search, form)
        if output.is_json:
            output.records((definition.record() for definition in definitions), ())
        else:
            sys.stdout.write(head(connection))
            sys.stdout.writelines(map(str, definitions))
    return OK
