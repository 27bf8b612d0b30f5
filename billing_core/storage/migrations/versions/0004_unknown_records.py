"""Accounting records of kinds that we do not know, kept as they came."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table: what is acknowledged must be on stable storage, also when nobody bills it."""
    op.create_table(
        "unknown_record",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("nas", sa.Text(), nullable=False),
        sa.Column("nas_box", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="Accounting of kinds that we do not know: acknowledged, never charged.",
    )
    op.create_index("unknown_record_by_time", "unknown_record", ["at"])
