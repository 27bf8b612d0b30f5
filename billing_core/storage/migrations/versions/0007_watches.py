"""Watches that block on plain conditions, and indexes by time for them and for the events log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

_COMMENTS = {
    "watch": "What an account or a client may do within so many minutes before it is blocked.",
    "entry": "`fixed` is what an invoice or a carried sum adds to the fixed balance.",
}

# What only ever grows has its rows in order of time already: such an index is tiny.
_RECENTLY = (("xdr", "recorded_at"), ("entry", "at"), ("decision", "at"))


def upgrade() -> None:
    """Add them; nothing is watched yet."""
    op.create_table(
        "watch",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("per", sa.Text(), nullable=False),
        sa.Column("spend_max", sa.Numeric()),
        sa.Column("short_calls_max", sa.Integer()),
        sa.Column("short_seconds", sa.Integer()),
        sa.Column("failed_calls_max", sa.Integer()),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("block_minutes", sa.Integer()),
        sa.Column("clients", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index("disconnect_by_time", "disconnect", ["asked_at"])
    for table, column in _RECENTLY:
        op.create_index(
            f"{table}_recently",
            table,
            [column],
            postgresql_using="brin",
            postgresql_with={"autosummarize": True},
        )
    for table, comment in _COMMENTS.items():
        op.create_table_comment(table, comment)
