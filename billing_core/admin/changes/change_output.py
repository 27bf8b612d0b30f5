"""How commands change the definitions, and tell it: first line by line, then how it ended."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection

from billing_core.admin import prompts
from billing_core.admin.changes.changes import Source, change
from billing_core.admin.database import Database
from billing_core.admin.definitions.audit import Author, operator
from billing_core.admin.definitions.difference import Diff
from billing_core.admin.output import OK, CommandError, Output

Sources = Callable[[Connection], Sequence[Source]]
"""Returns what shall be, read once the definitions are locked."""

_WARNINGS_SHOWN_MAX = 20
_CHANGES_SHOWN_MAX = 1000


def carry_out(
    through: str,
    sources_of: Sources,
    database: Database,
    output: Output,
    *,
    dry_run: bool,
) -> Diff:
    """Change the definitions by command, showing first what changes; return what did, or would."""
    return change(
        database.engine,
        sources_of,
        Author(operator(), through),
        dry_run=dry_run,
        announce=lambda found: show(found, output),
    )


def change_and_tell(
    through: str, sources_of: Sources, database: Database, output: Output, *, dry_run: bool
) -> int:
    """Change the definitions by command, tell all of it, and return how the command ends."""
    diff = carry_out(through, sources_of, database, output, dry_run=dry_run)
    tell(diff, output, dry_run=dry_run)
    return OK


def agree_and_tell(
    question: str,
    through: str,
    sources_of: Sources,
    database: Database,
    output: Output,
    *,
    dry_run: bool,
    is_agreed: bool,
    more: Mapping[str, object] | None = None,
) -> int:
    """Change the definitions once somebody agrees to what changes, tell all of it, and return how it ends.

    Where nobody can be asked nothing is done, and the command has failed.
    """
    diff = carry_out(through, sources_of, database, output, dry_run=dry_run or not is_agreed)
    is_done = is_agreed or not diff
    if not is_done and not dry_run and prompts.agreed(question, output):
        _change_as_shown(diff, through, sources_of, database)
        is_done = True
    tell(diff, output, dry_run=dry_run or not is_done, more=more)
    return OK if is_done or dry_run else prompts.not_agreed("nothing was changed", "agree", output)


def _change_as_shown(shown: Diff, through: str, sources_of: Sources, database: Database) -> None:
    """Change what was shown; raise CommandError when it would be anything else by now."""

    def must_be_same(found: Diff) -> None:
        if found != shown:
            raise CommandError(
                f"the definitions were changed while you looked: they are at version {found.version - 1}, and"
                f" what was shown is of version {shown.version - 1}; nothing was changed, look again"
            )

    change(database.engine, sources_of, Author(operator(), through), announce=must_be_same)


def show(diff: Diff, output: Output) -> None:
    """Tell people what is going to change, or would."""
    if output.is_json:
        return
    for line in islice(diff.lines(), _CHANGES_SHOWN_MAX):
        output.say(line)
    if (more := len(diff.told) - _CHANGES_SHOWN_MAX) > 0:
        output.say(f"... and {more} more; --json shows all")


def tell(diff: Diff, output: Output, *, dry_run: bool, more: Mapping[str, object] | None = None) -> None:
    """Tell how it ended; programs get the whole difference here, and *more* beside it."""
    for warning in islice(
        (warning for rates in diff.rates for warning in rates.warnings), _WARNINGS_SHOWN_MAX
    ):
        output.error(f"warning: {warning}")
    if output.is_json:
        output.document({"dry_run": dry_run, **diff.record(), **(more or {})})
    elif not diff:
        output.say("nothing to change")
    elif dry_run:
        output.say("dry run: nothing was applied")
    else:
        output.say(f"applied as catalogue version {diff.version}")
