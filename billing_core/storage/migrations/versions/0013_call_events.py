"""Events that callers bring about are kept singly up to ten a minute, and counted beyond."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_COMMENT = (
    "What the admin is told; `is_posted` when there is a mail for the webhook. What callers bring"
    " about has its source, its minute and its place there; the last place is the first of `count` events."
)


def upgrade() -> None:
    """Add by what events are counted; those before stand for themselves."""
    op.add_column("event", sa.Column("source", sa.Text()))
    op.add_column("event", sa.Column("minute", sa.DateTime(timezone=True)))
    op.add_column("event", sa.Column("place", sa.SmallInteger()))
    op.add_column("event", sa.Column("count", sa.Integer(), nullable=False, server_default="1"))
    op.create_index(
        "event_by_place",
        "event",
        ["kind", "source", "minute", "place"],
        unique=True,
        postgresql_where=sa.text("source IS NOT NULL"),
    )
    op.create_table_comment("event", _COMMENT)
