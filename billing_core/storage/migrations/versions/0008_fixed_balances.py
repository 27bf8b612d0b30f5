"""An index of the entries that fixed balances are summed from: lists of clients show them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add it; entries of calls are not in it."""
    op.create_index(
        "entry_of_fixed",
        "entry",
        ["client_id"],
        postgresql_include=["kind", "amount", "fixed"],
        postgresql_where=sa.text("kind IN ('payment', 'refund', 'invoice', 'carried')"),
    )
