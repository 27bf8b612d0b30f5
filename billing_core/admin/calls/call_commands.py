"""The subcommands of `billing` that tell of calls: under way, finished, and why each went as it did."""

from argparse import Namespace

from billing_core.admin.calls import quote, reports
from billing_core.admin.calls.explain import explain
from billing_core.admin.calls.explanation import sentences
from billing_core.admin.calls.xdr_ids import short
from billing_core.admin.csv_export import export_csv
from billing_core.admin.database import Database
from billing_core.admin.output import OK, Output
from billing_core.limits import Limits


def calls(arguments: Namespace, database: Database, output: Output) -> int:
    """List the legs under way."""
    with database.engine.connect() as connection:
        found = reports.calls(connection, arguments.limit, shows_numbers=arguments.show_numbers)
        output.records(found, reports.CALL_COLUMNS)
    return OK


def xdrs(arguments: Namespace, database: Database, output: Output) -> int:
    """List finished legs, or write them as CSV."""
    wanted = reports.XdrFilter(
        client=arguments.client,
        call=arguments.call,
        since=arguments.since,
        until=arguments.until,
        is_unbillable=arguments.unbillable,
        reason=arguments.reason,
        nas=arguments.nas,
        limit=arguments.limit,
        shows_numbers=arguments.show_numbers,
    )
    with database.engine.connect() as connection:
        found = reports.xdrs(connection, wanted)
        if arguments.csv is None:
            told = found if output.is_json else ({**record, "id": short(record["id"])} for record in found)
            output.records(told, reports.XDR_COLUMNS)
        else:
            export_csv(arguments.csv, found, reports.XDR_FIELDS, output)
    return OK


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


def quote_call(arguments: Namespace, database: Database, output: Output) -> int:
    """Show what a call would get now, and cost."""
    limits = Limits(max_call_seconds=database.max_call_seconds)
    with database.engine.connect() as connection:
        answer = quote.quote(connection, arguments.account, arguments.to, arguments.seconds, limits)
    output.record(answer)
    return OK
