"""What is written in the transaction that finds a client's money low: an event, and a mail to the client."""

from billing_core.notice import KIND, Audience, Notice
from billing_core.storage.rows import insert

EVENT = ("at", "kind", "client_id", "facts")
MAIL = ("created_at", "next_at", "kind", "channel", "client_id", "facts")

INSERT_EVENTS = insert("event", EVENT)
INSERT_MAILS = insert("mail", MAIL)


def event_row(notice: Notice) -> tuple[object, ...]:
    """Return the values of `EVENT`, in its order."""
    return notice.at, KIND, notice.client_id, notice.facts()


def is_mailed(notice: Notice) -> bool:
    """Tell whether somebody gets a mail; the admin reads events."""
    return notice.audience is Audience.CLIENT


def mail_row(notice: Notice) -> tuple[object, ...]:
    """Return the values of `MAIL`, in its order."""
    return notice.at, notice.at, KIND, "email", notice.client_id, notice.facts()
