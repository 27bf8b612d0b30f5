"""A row that daemons write each second, to find out whether what they write is kept."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the table of that one row; pages are kept half empty, so that it never grows."""
    op.execute(
        """
        CREATE TABLE pulse (
            id smallint PRIMARY KEY,
            at timestamptz NOT NULL
        ) WITH (fillfactor = 50)"""
    )
    op.execute(
        "COMMENT ON TABLE pulse IS"
        " 'Written each second by a daemon, which so finds out whether what it writes is kept.'"
    )
