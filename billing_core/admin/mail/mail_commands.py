"""What `billing mailer` and the subcommands of `billing mails` do."""

import threading
from argparse import Namespace
from dataclasses import asdict

from sqlalchemy.exc import DBAPIError

from billing_core.admin.database import Database
from billing_core.admin.mail import mail_settings, outbox
from billing_core.admin.mail.mailer import Mailer, Pass
from billing_core.admin.output import FAILED, OK, CommandError, Output, readable
from billing_core.admin.stopping import until_stopped

_POLL_SECONDS = 5.0


def mailer(arguments: Namespace, database: Database, output: Output) -> int:
    """Send the mails that wait, until TERM or INT, or once."""
    work = Mailer(database.engine, mail_settings.load(arguments.config))
    if not work.can_send:
        with database.engine.connect() as connection:
            count = outbox.waiting(connection)
        raise CommandError(
            f"{arguments.config}/radiusd.toml has neither mail.host nor webhook.url, so nothing can be sent;"
            f" {count} mails wait"
        )
    if arguments.once:
        return _tell(work.run(), output)
    with until_stopped() as stopping:
        _serve(work, stopping, output)
    return OK


def _serve(work: Mailer, stopping: threading.Event, output: Output) -> None:
    """Look again and again; while the database is away nothing can be lost, so wait for it."""
    output.say("sending mails as they come; end it with TERM or INT")
    is_away = False
    while not stopping.is_set():
        try:
            done = work.run(stopping.is_set)
        except DBAPIError as error:
            if not is_away:
                output.error(f"the database fails, mails wait: {' '.join(str(error.orig).split())}")
            is_away = True
        else:
            is_away = False
            if done != Pass():
                _say(done, output)
        stopping.wait(_POLL_SECONDS)


def _tell(done: Pass, output: Output) -> int:
    """Say what one pass did; it fails when something could not be sent."""
    if output.is_json:
        output.document(asdict(done))
    else:
        _say(done, output)
    return FAILED if done.trouble else OK


def _say(done: Pass, output: Output) -> None:
    for mail_id, reason in done.trouble.items():
        output.error(f"mail {mail_id}: {readable(reason)}")
    output.say(f"{done.sent} sent, {done.deferred} to be tried again, {done.failed} failed")


def mails_list(arguments: Namespace, database: Database, output: Output) -> int:
    """List mails that wait, were sent or failed."""
    wanted = outbox.Wanted(
        client=arguments.client,
        kind=arguments.kind,
        state=arguments.state,
        recipient=arguments.recipient,
        since=arguments.since,
        until=arguments.until,
        limit=arguments.limit,
    )
    with database.engine.connect() as connection:
        output.records(outbox.listed(connection, wanted), outbox.LIST_COLUMNS)
    return OK


def mails_show(arguments: Namespace, database: Database, output: Output) -> int:
    """Show one mail."""
    with database.engine.connect() as connection:
        output.record(outbox.shown(connection, arguments.mail))
    return OK


def mails_retry(arguments: Namespace, database: Database, output: Output) -> int:
    """Let mails that failed be tried again, from the first attempt on."""
    with database.engine.begin() as connection:
        again = [outbox.queue_again(connection, mail_id) for mail_id in arguments.mails]
    if output.is_json:
        output.document(again)
    else:
        for mail in again:
            output.say(f"mail {mail['id']} waits for the next pass of the mailer")
    return OK
