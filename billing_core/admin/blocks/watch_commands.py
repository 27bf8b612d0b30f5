"""What `billing watch` does: look once, or again and again until it is told to stop."""

import threading
from argparse import Namespace
from collections.abc import Iterable

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from billing_core.admin.blocks import watcher
from billing_core.admin.blocks.block_commands import told
from billing_core.admin.database import Database
from billing_core.admin.output import OK, CommandError, Output, Record, readable
from billing_core.admin.stopping import until_stopped


def watch(arguments: Namespace, database: Database, output: Output) -> int:
    """Block who does more than a watch allows, until TERM or INT, or once."""
    if not arguments.interval:
        raise CommandError("--interval 0 leaves no time between two looks; the least is 1")
    if not arguments.once:
        with until_stopped() as stopping:
            _serve(database.engine, stopping, arguments.interval, output)
        return OK
    with watcher.alone(database.engine):
        found = watcher.look(database.engine)
    if output.is_json:
        output.document(found)
    else:
        _say(found, output)
        output.say(f"{len(found)} blocked")
    return OK


def _serve(engine: Engine, stopping: threading.Event, seconds: int, output: Output) -> None:
    """Look again and again; what happens while the database is away is seen afterwards."""
    output.say(f"watching, a look every {seconds} s; end it with TERM or INT")
    is_away = False
    while not stopping.is_set():
        try:
            with watcher.alone(engine) as still_alone:
                is_away = False
                while not stopping.is_set():
                    still_alone()
                    _say(watcher.look(engine), output)
                    stopping.wait(seconds)
        except DBAPIError as error:
            if not is_away:
                output.error(f"the database fails, nobody is watched: {' '.join(str(error.orig).split())}")
            is_away = True
            stopping.wait(seconds)


def _say(found: Iterable[Record], output: Output) -> None:
    for block in found:
        output.say(f"{told(block)}: {readable(block['reason'])}")
