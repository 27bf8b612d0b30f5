"""How commands tell what they change in the definitions: first line by line, then how it ended."""

from itertools import islice

from billing_core.admin.difference import Diff
from billing_core.admin.output import Output

_WARNINGS_SHOWN_MAX = 20
_CHANGES_SHOWN_MAX = 1000


def show(diff: Diff, output: Output) -> None:
    """Tell people what is going to change, or would."""
    if output.is_json:
        return
    for line in islice(diff.lines(), _CHANGES_SHOWN_MAX):
        output.say(line)
    if (more := len(diff.changes) - _CHANGES_SHOWN_MAX) > 0:
        output.say(f"... and {more} more; --json shows all")


def tell(diff: Diff, output: Output, *, dry_run: bool) -> None:
    """Tell how it ended; programs get the whole difference here."""
    for warning in islice(
        (warning for rates in diff.rates for warning in rates.warnings), _WARNINGS_SHOWN_MAX
    ):
        output.error(f"warning: {warning}")
    if output.is_json:
        output.document({"dry_run": dry_run, **diff.record()})
    elif not diff:
        output.say("nothing to change")
    elif dry_run:
        output.say("dry run: nothing was applied")
    else:
        output.say(f"applied as catalogue version {diff.version}")
