"""The audit comes in order of version and time, so indexes of ranges do: a bulk change writes less."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Replace two indexes that had an item for each row of the audit."""
    for name, column in (("audit_by_version", "version"), ("audit_by_time", "at")):
        op.drop_index(name, "audit")
        op.create_index(
            name, "audit", [column], postgresql_using="brin", postgresql_with={"autosummarize": True}
        )
