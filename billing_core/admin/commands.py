"""What each subcommand of `billing` does: ask a module for values, and write them."""

from argparse import Namespace

from billing_core.admin import change_output, quote, verify
from billing_core.admin.apply import apply_files
from billing_core.admin.audit import operator
from billing_core.admin.database import Database
from billing_core.admin.difference import Diff
from billing_core.admin.output import FAILED, OK, Output, readable
from billing_core.admin.progress import ProgressBar
from billing_core.limits import Limits

_SHOWN_MAX = 20


def apply(arguments: Namespace, database: Database, output: Output) -> int:
    """Apply definitions files, showing first what changes."""
    through = " ".join(["apply", *map(str, arguments.files)])
    with ProgressBar() as bar:

        def announce(found: Diff) -> None:
            bar.hide()
            change_output.show(found, output)

        diff = apply_files(
            database.url,
            arguments.files,
            operator(),
            through,
            dry_run=arguments.dry_run,
            announce=announce,
            progress=bar,
        )
    change_output.tell(diff, output, dry_run=arguments.dry_run)
    return OK


def quote_call(arguments: Namespace, database: Database, output: Output) -> int:
    """Show what a call would get now, and cost."""
    limits = Limits(max_call_seconds=database.max_call_seconds)
    with database.engine.connect() as connection:
        answer = quote.quote(connection, arguments.account, arguments.to, arguments.seconds, limits)
    output.record(answer)
    return OK


def verify_all(arguments: Namespace, database: Database, output: Output) -> int:
    """Check the rules of the money, and fail when one is broken."""
    findings = verify.verify(database.engine)
    is_sound = not any(finding.differences for finding in findings)
    if output.is_json:
        output.document({"ok": is_sound, "invariants": [finding.record() for finding in findings]})
        return OK if is_sound else FAILED
    summary = [{**finding.record(), "differences": len(finding.differences)} for finding in findings]
    output.records(summary, ("invariant", "checked", "differences"))
    for finding in findings:
        if finding.left_out:
            output.say(f"{finding.invariant}: {finding.left_out} not checked, since their month was dropped")
        for difference in finding.differences[:_SHOWN_MAX]:
            words = ", ".join(f"{key} {readable(value)}" for key, value in difference.items())
            output.error(f"{finding.invariant}: {words}")
        if (more := len(finding.differences) - _SHOWN_MAX) > 0:
            output.error(f"{finding.invariant}: ... and {more} more; --json shows all")
    return OK if is_sound else FAILED
