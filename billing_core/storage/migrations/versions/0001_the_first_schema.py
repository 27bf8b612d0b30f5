"""The first schema: definitions, money, legs under way, finished records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Build every table, and the triggers that keep money explained."""
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("through", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_by_object", "audit", ["object_kind", "object_name", "id"], unique=False)
    op.create_table(
        "capacity_counter",
        sa.Column("scope", sa.SmallInteger(), nullable=False),
        sa.Column("owner_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("in_use", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "owner_id"),
        comment="Legs under way of accounts (1) and resellers (2) that have a capacity, and only of those.",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "catalogue",
        sa.Column(
            "id", sa.SmallInteger(), sa.CheckConstraint("id = 1", name="catalogue_is_one_row"), nullable=False
        ),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="Counts the changes of definitions; whoever changes one locks this row first.",
    )
    op.create_table(
        "definition_file",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("path"),
    )
    op.create_table(
        "entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leg_key", sa.LargeBinary(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("entry_by_client", "entry", ["client_id", "id"], unique=False)
    op.create_index(
        "entry_reference_is_unique",
        "entry",
        ["client_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_table(
        "rate_table",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("changed_in", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "reboot",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("nas", sa.Text(), nullable=False),
        sa.Column("nas_box", sa.Text(), nullable=False),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starting", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("reboot_is_unique", "reboot", ["nas", "nas_box", "event_at", "starting"], unique=True)
    op.create_table(
        "reseller",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["reseller.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "session",
        sa.Column("leg_key", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("nas", sa.Text(), nullable=False),
        sa.Column("nas_box", sa.Text(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("calling", sa.Text(), nullable=False),
        sa.Column("called", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("destination", sa.Text(), nullable=True),
        sa.Column("price_per_minute", sa.Numeric(), nullable=True),
        sa.Column("setup_fee", sa.Numeric(), nullable=True),
        sa.Column("min_volume_seconds", sa.Integer(), nullable=True),
        sa.Column("interval_seconds", sa.Integer(), nullable=True),
        sa.Column("grace_seconds", sa.Integer(), nullable=True),
        sa.Column("rated_for", sa.DateTime(timezone=True), nullable=True),
        sa.Column("authorized_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("credit_time_seconds", sa.Integer(), nullable=True),
        sa.Column("reserved", sa.Numeric(), nullable=False),
        sa.Column("posted", sa.Numeric(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("setup_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connect_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disconnect_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("start_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_event_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("known_seconds", sa.BigInteger(), nullable=False),
        sa.Column("stop_seconds", sa.BigInteger(), nullable=True),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("disconnect_cause", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("leg_key"),
        postgresql_with={"fillfactor": "60"},
    )
    op.create_index(
        "session_under_way",
        "session",
        ["look_at"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "xdr",
        sa.Column("leg_key", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("nas", sa.Text(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("calling", sa.Text(), nullable=False),
        sa.Column("called", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("destination", sa.Text(), nullable=True),
        sa.Column("setup_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connect_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disconnect_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_seconds", sa.BigInteger(), nullable=True),
        sa.Column("billed_seconds", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("disconnect_cause", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("leg_key", "generation", "revision"),
    )
    op.create_index("xdr_by_client", "xdr", ["client_id", "dated_at"], unique=False)
    op.create_index(
        "xdr_unbillable",
        "xdr",
        ["dated_at"],
        unique=False,
        postgresql_where=sa.text("state = 'unbillable'"),
    )
    op.create_table(
        "client",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("reseller_id", sa.Integer(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("bill_by", sa.Text(), nullable=False),
        sa.Column("postpaid", sa.Boolean(), nullable=False),
        sa.Column("credit", sa.Numeric(), nullable=False),
        sa.Column("rate_table_id", sa.Integer(), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("term_rate_table_id", sa.Integer(), nullable=True),
        sa.Column("term_capacity", sa.Integer(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("low_balance_threshold", sa.Numeric(), nullable=True),
        sa.Column("low_balance_capacity", sa.Integer(), nullable=True),
        sa.Column("company", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed_in", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rate_table_id"],
            ["rate_table.id"],
        ),
        sa.ForeignKeyConstraint(
            ["reseller_id"],
            ["reseller.id"],
        ),
        sa.ForeignKeyConstraint(
            ["term_rate_table_id"],
            ["rate_table.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index("client_by_change", "client", ["changed_in", "id"], unique=False)
    op.create_table(
        "rate",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("rate_table_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("price_per_minute", sa.Numeric(), nullable=False),
        sa.Column("setup_fee", sa.Numeric(), nullable=False),
        sa.Column("min_volume_seconds", sa.Integer(), nullable=False),
        sa.Column(
            "interval_seconds", sa.Integer(), sa.CheckConstraint("interval_seconds >= 1"), nullable=False
        ),
        sa.Column("grace_seconds", sa.Integer(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_date", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["rate_table_id"],
            ["rate_table.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("rate_by_table", "rate", ["rate_table_id", "id"], unique=False)
    op.create_index(
        "rate_is_unique",
        "rate",
        ["rate_table_id", "code", sa.literal_column("COALESCE(effective_from, '-infinity'::timestamptz)")],
        unique=True,
    )
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("ani", sa.Text(), nullable=True),
        sa.Column("tech_prefix", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("orig", sa.Boolean(), nullable=False),
        sa.Column("term", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_account_client_id"), "account", ["client_id"], unique=False)
    op.create_table(
        "balance",
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("live", sa.Numeric(), nullable=False),
        sa.Column("reserved", sa.Numeric(), nullable=False),
        sa.Column("in_use", sa.Integer(), nullable=False),
        sa.Column("term_in_use", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
        ),
        sa.PrimaryKeyConstraint("client_id"),
        postgresql_with={"fillfactor": "50"},
    )
    op.execute("INSERT INTO catalogue (id, version) VALUES (1, 0)")
    op.execute(_NEVER_EDITED)
    for table in ("entry", "xdr"):
        op.execute(
            f"CREATE TRIGGER {table}_is_never_edited BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION never_edited()"
        )


# Money is explained by what was added, so nothing that was added may change: not by mistake either.
_NEVER_EDITED = """
    CREATE FUNCTION never_edited() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'rows of table % are never edited or deleted: add a correcting one', TG_TABLE_NAME;
    END $$
"""
