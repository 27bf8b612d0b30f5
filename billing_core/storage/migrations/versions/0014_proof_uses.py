"""What a response to a challenge of ours has served is known to all who decide."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the table of what proofs have served."""
    op.execute(
        """
        CREATE TABLE proof_use (
            client_id integer NOT NULL,
            use bytea NOT NULL,
            leg_key bytea NOT NULL,
            generation integer,
            used_at timestamptz NOT NULL,
            PRIMARY KEY (client_id, use)
        )"""
    )
    op.execute(
        "COMMENT ON TABLE proof_use IS"
        " 'Which call a response to a challenge of ours has served, while it could be repeated.'"
    )
    op.execute("CREATE INDEX proof_use_by_time ON proof_use (used_at)")
