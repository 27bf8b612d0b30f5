"""When a Start came bounds how long its call can have lasted, and tells that it lasted at all."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add when the Start was heard, and whether it told how long it had waited."""
    op.execute(
        """
        ALTER TABLE session
            ADD COLUMN start_heard_at timestamptz,
            ADD COLUMN start_delay_told boolean NOT NULL DEFAULT false"""
    )
