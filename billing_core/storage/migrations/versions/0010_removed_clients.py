"""Clients who are removed for good: workers find them in the audit, and the owner may delete their rows."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# Who may delete at all is a matter of rights; this only keeps it from happening by mistake.
_NEVER_EDITED = """
    CREATE OR REPLACE FUNCTION never_edited() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('billing.removes_client', true) = 'on' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'rows of table % are never edited or deleted: add a correcting one', TG_TABLE_NAME;
    END $$
"""


def upgrade() -> None:
    """Add the index, which has a row for each of them, and the exception to the rule."""
    op.create_index(
        "audit_of_removed_clients",
        "audit",
        ["version"],
        postgresql_where=sa.text("object_kind = 'client' AND field = 'removed'"),
    )
    op.execute(_NEVER_EDITED)
