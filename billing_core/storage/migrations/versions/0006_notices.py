"""Notices of low balances: who knows already, the events log, and the outbox of mails."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

_COMMENTS = {
    "balance": "`warned` has bit 1 when the client was told that his money is low, bit 2 when the admin was.",
    "event": "What the admin is told; `is_posted` when there is a mail for the webhook.",
    "mail": "What waits to be sent, by email or to the webhook, and what was; it is written when it is sent.",
}


def upgrade() -> None:
    """Add what notices need; nobody was told anything yet."""
    op.add_column("balance", sa.Column("warned", sa.SmallInteger(), nullable=False, server_default="0"))
    _create_event()
    _create_mail()
    for table, comment in _COMMENTS.items():
        op.create_table_comment(table, comment)


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Integer()),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_posted", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("event_by_time", "event", ["at"])
    op.create_index("event_by_client", "event", ["client_id", "id"])
    op.create_index("event_to_post", "event", ["id"], postgresql_where=sa.text("NOT is_posted"))


def _create_mail() -> None:
    op.create_table(
        "mail",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Integer()),
        sa.Column("event_id", sa.BigInteger()),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default="waiting"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("recipient", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("body", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("mail_by_client", "mail", ["client_id", "id"])
    op.create_index("mail_by_time", "mail", ["created_at"])
    op.create_index("mail_waiting", "mail", ["next_at"], postgresql_where=sa.text("state = 'waiting'"))
    op.create_index("mail_failed", "mail", ["id"], postgresql_where=sa.text("state = 'failed'"))
