"""Legs of one name are numbered and kept side by side, and know what tells their conversations apart.

Calls under way keep their keys; of those that were heard of it is taken that they were answered. What ended
before is remembered as it was, so that its Stops are known when they come again.
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add to the sessions what tells their conversations apart, and number the legs of one name."""
    op.execute("ALTER TABLE session DROP CONSTRAINT session_pkey")
    op.execute("ALTER TABLE session ADD CONSTRAINT session_pkey PRIMARY KEY (leg_key, generation)")
    op.execute(
        """
        ALTER TABLE session
            DROP COLUMN earlier_began_at,
            DROP COLUMN earlier_ended_at,
            ADD COLUMN tags text NOT NULL DEFAULT '',
            ADD COLUMN asked_session_id text NOT NULL DEFAULT '',
            ADD COLUMN call_type text NOT NULL DEFAULT '',
            ADD COLUMN questions integer NOT NULL DEFAULT 0,
            ADD COLUMN asked text,
            ADD COLUMN decided_seconds bigint,
            ADD COLUMN overrun_seconds bigint,
            ADD COLUMN answered boolean NOT NULL DEFAULT false"""
    )
    op.execute(
        """
        UPDATE session SET
            answered = state = 1 AND (start_event_at IS NOT NULL OR known_seconds > 0),
            questions = CASE WHEN authorized_at IS NULL THEN 0 ELSE 1 END
        WHERE closed_at IS NULL"""
    )
