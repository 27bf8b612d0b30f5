"""Legs of one name are numbered and kept side by side, and know what tells their conversations apart.

Calls under way keep their keys; of those that were heard of it is taken that they were answered. What ended
before is remembered as it was, so that its Stops are known when they come again.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

# What named a device was one text: its identifier, else its address.
_IS_ADDRESS = "(nas_box ~ '^[0-9.]+$' OR nas_box ~ '^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$')"


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
            ADD COLUMN answered boolean NOT NULL DEFAULT false,
            ADD COLUMN nas_address text NOT NULL DEFAULT '',
            ADD COLUMN nas_source text NOT NULL DEFAULT ''"""
    )
    op.execute(
        """
        ALTER TABLE reboot
            ADD COLUMN nas_address text NOT NULL DEFAULT '',
            ADD COLUMN nas_source text NOT NULL DEFAULT ''"""
    )
    op.drop_index("reboot_is_unique", "reboot")
    op.create_index(
        "reboot_is_unique",
        "reboot",
        ["nas", "nas_box", "nas_address", "nas_source", "event_at", "starting"],
        unique=True,
    )
    for table, condition in (("session", "closed_at IS NULL"), ("reboot", "done_at IS NULL")):
        op.execute(
            f"UPDATE {table} SET nas_address = nas_box, nas_box = ''"  # noqa: S608 - of the constants above
            f" WHERE {_IS_ADDRESS} AND {condition}"
        )
    op.execute(
        """
        UPDATE session SET
            answered = state = 1 AND (start_event_at IS NOT NULL OR known_seconds > 0),
            questions = CASE WHEN authorized_at IS NULL THEN 0 ELSE 1 END
        WHERE closed_at IS NULL"""
    )
