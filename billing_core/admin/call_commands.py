"""The subcommands of `billing` that tell of calls: under way, finished, and why each went as it did."""

import sys
from argparse import Namespace
from pathlib import Path

from billing_core.admin import reports
from billing_core.admin.command_line.arguments import STDOUT
from billing_core.admin.csv_export import write_csv
from billing_core.admin.database import Database
from billing_core.admin.explain import explain
from billing_core.admin.explanation import sentences
from billing_core.admin.output import OK, CommandError, Output


def calls(arguments: Namespace, database: Database, output: Output) -> int:
    """List the legs under way."""
    with database.engine.connect() as connection:
        found = reports.calls(connection, arguments.limit, shows_numbers=arguments.show_numbers)
        output.records(found, reports.CALL_COLUMNS)
    return OK


def xdrs(arguments: Namespace, database: Database, output: Output) -> int:
    """List finished legs, or write them as CSV."""
    if arguments.csv is not None and output.is_json:
        raise CommandError("--csv and --json exclude each other: choose one")
    wanted = reports.XdrFilter(
        client=arguments.client,
        call=arguments.call,
        since=arguments.since,
        until=arguments.until,
        is_unbillable=arguments.unbillable,
        limit=arguments.limit,
        shows_numbers=arguments.show_numbers,
    )
    with database.engine.connect() as connection:
        found = reports.xdrs(connection, wanted)
        if arguments.csv is None:
            output.records(found, reports.XDR_COLUMNS)
        elif arguments.csv == STDOUT:
            write_csv(sys.stdout, found, reports.XDR_FIELDS)
        else:
            count = _write_file(arguments.csv, found)
            output.say(f"{arguments.csv}: {count} records")
    return OK


def _write_file(path: Path, found: reports.Records) -> int:
    """Write the file whole or not at all: half a month would be taken for a whole one."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            count = write_csv(file, found, reports.XDR_FIELDS)
        part.replace(path)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def explain_call(arguments: Namespace, database: Database, output: Output) -> int:
    """Tell everything that decided on a call and its price."""
    with database.engine.connect() as connection:
        explained = explain(connection, arguments.call)
    if output.is_json:
        output.document(explained)
    else:
        for sentence in sentences(explained):
            output.say(sentence)
    return OK
