"""What people are told: the events log of the admin, and the outbox, which is the history of mails, too."""

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from billing_core.storage.columns import column_at, column_flag, column_text, metadata

event = Table(
    "event",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    column_at("at", nullable=False),
    column_text("kind"),
    Column("client_id", Integer),
    Column("facts", JSONB, nullable=False),
    column_flag("is_posted"),
    column_text("source", nullable=True),
    column_at("minute"),
    Column("place", SmallInteger),
    Column("count", Integer, nullable=False, server_default="1"),
    comment="What the admin is told; `is_posted` when there is a mail for the webhook. What callers bring"
    " about has its source, its minute and its place there; the last place is the first of `count` events.",
)
Index("event_by_time", event.c.at)
Index("event_by_client", event.c.client_id, event.c.id)
Index("event_to_post", event.c.id, postgresql_where=text("NOT is_posted"))
Index(
    "event_by_place",
    event.c.kind,
    event.c.source,
    event.c.minute,
    event.c.place,
    unique=True,
    postgresql_where=text("source IS NOT NULL"),
)

mail = Table(
    "mail",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    column_at("created_at", nullable=False),
    column_text("kind"),
    column_text("channel"),
    Column("client_id", Integer),
    Column("event_id", BigInteger),
    Column("facts", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    column_at("next_at", nullable=False),
    column_at("done_at"),
    column_text("recipient", nullable=True),
    column_text("subject", nullable=True),
    column_text("body", nullable=True),
    column_text("error", nullable=True),
    column_at("claimed_until"),
    comment="What waits to be sent, by email or to the webhook, and what was; it is written when it is sent.",
)
Index("mail_by_client", mail.c.client_id, mail.c.id)
Index("mail_by_time", mail.c.created_at)
Index("mail_waiting", mail.c.next_at, postgresql_where=text("state = 'waiting'"))
Index("mail_failed", mail.c.id, postgresql_where=text("state = 'failed'"))
