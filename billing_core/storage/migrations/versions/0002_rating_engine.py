"""The rating engine: versions of rate tables, time profiles, currencies, policies, blocks, decisions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns with defaults under which everything costs what it did, and the new tables."""
    _rates()
    _clients()
    _sessions()
    _definitions()
    _decisions()


def _rates() -> None:
    op.create_table(
        "rate_import",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("rate_table_id", sa.Integer(), sa.ForeignKey("rate_table.id"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("through", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=False),
        sa.Column("unchanged", sa.BigInteger(), nullable=False),
        sa.Column("undone_by", sa.BigInteger(), sa.ForeignKey("rate_import.id")),
        sa.PrimaryKeyConstraint("id"),
        comment="Versions of rate tables; one that was rolled back names the version that did it.",
    )
    op.create_index("ix_rate_import_rate_table_id", "rate_import", ["rate_table_id"])
    op.add_column("rate_table", sa.Column("parent_id", sa.Integer(), sa.ForeignKey("rate_table.id")))
    places = sa.Column("rounding_places", sa.SmallInteger(), nullable=False, server_default="6")
    op.add_column("rate_table", places)
    op.add_column(
        "rate_table", sa.Column("rounding_mode", sa.Text(), nullable=False, server_default="half_up")
    )
    op.add_column(
        "rate_table", sa.Column("duration_rounding", sa.Text(), nullable=False, server_default="up")
    )
    op.add_column("rate", sa.Column("time_profile", sa.Text()))
    for bound in ("number_length_min", "number_length_max"):
        op.add_column("rate", sa.Column(bound, sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("rate", sa.Column("blocked", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("rate", sa.Column("since_import", sa.BigInteger()))
    op.add_column("rate", sa.Column("until_import", sa.BigInteger()))
    op.create_table_comment(
        "rate",
        "A row belongs to the versions from since_import to before until_import; absent is without end.",
    )
    op.drop_index("rate_is_unique", "rate")
    op.create_index(
        "rate_is_unique",
        "rate",
        [
            "rate_table_id",
            "code",
            sa.literal_column("COALESCE(effective_from, '-infinity'::timestamptz)"),
            sa.literal_column("COALESCE(time_profile, '')"),
        ],
        unique=True,
        postgresql_where=sa.text("until_import IS NULL"),
    )


def _clients() -> None:
    op.add_column("client", sa.Column("concurrency", sa.Text(), nullable=False, server_default="full"))
    op.add_column("client", sa.Column("concurrency_calls", sa.Integer()))
    op.add_column("client", sa.Column("concurrency_seconds", sa.Integer()))
    op.add_column("client", sa.Column("charge_max", sa.Numeric()))
    op.add_column(
        "client", sa.Column("refuse_losses", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.add_column("account", sa.Column("price_per_minute_max", sa.Numeric()))


def _sessions() -> None:
    op.add_column("session", sa.Column("factor", sa.Numeric()))
    op.add_column("session", sa.Column("rounding", sa.Text()))
    op.add_column("session", sa.Column("reserved_seconds", sa.Integer()))
    op.add_column("session", sa.Column("decision", sa.Text()))
    for moment in ("earlier_began_at", "earlier_ended_at"):
        op.add_column("session", sa.Column(moment, sa.DateTime(timezone=True)))


def _definitions() -> None:
    op.create_table(
        "time_profile",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spans", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "exchange_rate",
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("into", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("factor", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("currency", "into", "effective_from"),
    )
    op.create_table(
        "block",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "block_in_force", "block", ["kind", "value"], postgresql_where=sa.text("removed_at IS NULL")
    )


def _decisions() -> None:
    op.create_table(
        "decision",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("nas", sa.Text(), nullable=False),
        sa.Column("leg_key", sa.LargeBinary(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("calling", sa.Text(), nullable=False),
        sa.Column("called", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="Calls that were refused; what an accepted one was granted for stands in its session.",
    )
    op.create_index("decision_by_call", "decision", ["call_id"])
    op.create_index("decision_by_session", "decision", ["session_id"])
    op.create_table(
        "disconnect",
        sa.Column("leg_key", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("nas", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("leg_key", "generation"),
        comment="Legs that their NAS was or is to be asked to end (RFC 5176).",
    )
    op.create_index(
        "disconnect_to_do", "disconnect", ["next_at"], postgresql_where=sa.text("done_at IS NULL")
    )
