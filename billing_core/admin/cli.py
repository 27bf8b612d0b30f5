"""The `billing` command: what can be said on the command line, and which exit code it ends with.

0: done. 1: an expected failure, told in a sentence. 2: the command line itself is wrong.
"""

import errno
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module

import psycopg2
from sqlalchemy.exc import DBAPIError

from billing_core.admin.command_line import parsed
from billing_core.admin.command_line.arguments import ClientName
from billing_core.admin.database import FILE_NAME, Database, opened
from billing_core.admin.found import own_name
from billing_core.admin.interrupts import INTERRUPTED
from billing_core.admin.output import FAILED, CommandError, Output
from billing_core.ports import StorageDownError
from billing_core.settings import SettingsError
from billing_core.storage.embedded import EmbeddedServerError
from billing_core.storage.schema import SchemaError

Command = Callable[[Namespace, Database, Output], int]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; raise SystemExit(2) for a wrong command line."""
    chosen = parsed(arguments)
    output = Output(chosen.json)
    try:
        with opened(chosen.config) as database:
            _name_clients(chosen, database)
            code = command(chosen.run)(chosen, database, output)
            sys.stdout.flush()
            return code
    except (CommandError, SettingsError, SchemaError, EmbeddedServerError) as error:
        output.error(str(error))
    except UnicodeEncodeError:
        output.error("an argument is not UTF-8 text; set the terminal to UTF-8, or correct the argument")
    except (DBAPIError, psycopg2.Error, StorageDownError) as error:
        reason = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
        output.error(
            f"{chosen.config / FILE_NAME}: the database of database.url fails: {reason}; "
            "see that it runs and that the URL is right"
        )
    except OSError as error:
        _stdout_failed(error, output)
    except MemoryError:
        output.error("this takes more memory than there is; give it in parts, or end other programs")
    except EOFError:
        output.error("the terminal was closed before all questions were answered; nothing was changed")
    except KeyboardInterrupt:
        return INTERRUPTED
    return FAILED


def _name_clients(chosen: Namespace, database: Database) -> None:
    """Put the clients' own names in place of those that were typed in another case."""
    typed = {key: value for key, value in vars(chosen).items() if _is_client(value)}
    if not typed:
        return
    with database.engine.connect() as connection:
        for key, value in typed.items():
            names = [own_name(connection, name) for name in ([value] if isinstance(value, str) else value)]
            setattr(chosen, key, names[0] if isinstance(value, str) else names)


def _is_client(value: object) -> bool:
    return isinstance(value, ClientName) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], ClientName)
    )


def _stdout_failed(error: OSError, output: Output) -> None:
    """Tell that stdout is full, or nothing when its reader has seen enough; raise any other error."""
    if error.errno not in (errno.EPIPE, *_NO_SPACE):
        raise error
    # The interpreter must not stumble over it again at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno != errno.EPIPE:
        output.error(
            f"standard output cannot be written: {error.strerror}; what it was to tell is incomplete"
        )


def command(run: str) -> Command:
    """Return the function that a subcommand names; only now is its module imported."""
    module, _, name = run.rpartition(".")
    found: Command = getattr(import_module(f"billing_core.admin.{module}"), name)
    return found


if __name__ == "__main__":
    sys.exit(main())
