"""The outbox: what waits to be sent, by email or to the webhook, and the history of what was."""

from collections.abc import Sequence

from sqlalchemy import Connection

from billing_core.admin import bulk
from billing_core.notice import Notice
from billing_core.storage import notices as kept
from billing_core.storage import tables


def put(connection: Connection, notices: Sequence[Notice]) -> None:
    """Write *notices* in the transaction that finds the money low: nothing is told that did not happen."""
    events = [dict(zip(kept.EVENT, kept.event_row(item), strict=True)) for item in notices]
    bulk.insert(connection, tables.event, events)
    mails = [
        dict(zip(kept.MAIL, kept.mail_row(item), strict=True)) for item in notices if kept.is_mailed(item)
    ]
    bulk.insert(connection, tables.mail, mails)
