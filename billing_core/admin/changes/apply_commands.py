"""What `billing apply` does: change the definitions to what files say."""

from argparse import Namespace

from billing_core.admin.changes import change_output
from billing_core.admin.changes.apply import apply_files
from billing_core.admin.database import Database
from billing_core.admin.definitions.audit import operator
from billing_core.admin.definitions.difference import Diff
from billing_core.admin.output import OK, Output
from billing_core.admin.progress import ProgressBar


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
            is_meant=arguments.yes,
            announce=announce,
            progress=bar,
        )
    change_output.tell(diff, output, dry_run=arguments.dry_run)
    return OK
