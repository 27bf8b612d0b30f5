"""Mails are sent outside any transaction: who sends one claims it for a while."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the end of a claim; whoever made it and died has it no longer then."""
    op.execute("ALTER TABLE mail ADD COLUMN claimed_until timestamptz")
