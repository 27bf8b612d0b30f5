"""Records and entries in partitions of a month, and what outlives them: references, months that are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Build the partitioned tables and move the rows there; the months are made at every start."""
    for table in ("xdr", "entry", "decision"):
        _set_aside(table)
    _xdr()
    _entry()
    _decision()
    _what_outlives_them()
    for table in ("xdr", "entry", "decision"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    for table in ("xdr", "xdr_default", "entry", "entry_default", "entry_reference", "closed_month"):
        _never_edited(table)
    _move()


def _set_aside(table: str) -> None:
    """Keep a table's rows for the while, and leave its name to its successor."""
    op.execute(f"CREATE TEMPORARY TABLE former_{table} ON COMMIT DROP AS TABLE {table}")
    op.drop_table(table)


def _move() -> None:
    # A record is of the moment of its entry; one without was made when its leg was closed.
    op.execute(
        """INSERT INTO xdr SELECT x.*, COALESCE(e.at, s.closed_at, LEAST(x.dated_at, now()))
        FROM former_xdr AS x
        LEFT JOIN (
            SELECT leg_key, generation, revision, max(at) AS at FROM former_entry
            WHERE leg_key IS NOT NULL GROUP BY leg_key, generation, revision
        ) AS e USING (leg_key, generation, revision)
        LEFT JOIN session AS s USING (leg_key, generation)"""
    )
    op.execute("INSERT INTO entry SELECT * FROM former_entry")
    op.execute("INSERT INTO decision SELECT * FROM former_decision")
    op.execute(
        """INSERT INTO entry_reference (client_id, reference, kind, amount, at)
        SELECT client_id, reference, kind, amount, at FROM former_entry WHERE reference IS NOT NULL"""
    )
    for table in ("entry", "decision"):
        next_id = f"(SELECT COALESCE(max(id), 0) + 1 FROM {table})"  # noqa: S608
        op.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {next_id}, false)")


def _never_edited(table: str) -> None:
    """Forbid to edit a table or a partition; of a partitioned table the trigger does not reach down."""
    op.execute(f"DROP TRIGGER IF EXISTS {table}_is_never_edited ON {table}")
    op.execute(
        f"CREATE TRIGGER {table}_is_never_edited BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION never_edited()"
    )


def _xdr() -> None:
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
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("leg_key", "generation", "revision", "recorded_at"),
        postgresql_partition_by="RANGE (recorded_at)",
        comment="That a leg has no revision twice is seen to by its session, whose row is locked.",
    )
    op.create_index("xdr_by_client", "xdr", ["client_id", "dated_at"])
    op.create_index("xdr_unbillable", "xdr", ["dated_at"], postgresql_where=sa.text("state = 'unbillable'"))


def _entry() -> None:
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
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("who", sa.Text(), nullable=True),
        sa.Column("fixed", sa.Numeric(), nullable=True),
        sa.PrimaryKeyConstraint("id", "at"),
        postgresql_partition_by="RANGE (at)",
        comment="`fixed` is of a carried sum the part that belongs to the fixed balance.",
    )
    op.create_index("entry_by_client", "entry", ["client_id", "id"])


def _decision() -> None:
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
        sa.PrimaryKeyConstraint("id", "at"),
        postgresql_partition_by="RANGE (at)",
        comment="Calls that were refused; what an accepted one was granted for stands in its session.",
    )
    op.create_index("decision_by_call", "decision", ["call_id"])
    op.create_index("decision_by_session", "decision", ["session_id"])


def _what_outlives_them() -> None:
    op.create_table(
        "entry_reference",
        sa.Column("client_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "reference"),
        comment="What each client's references were used for; it outlives the months of the entries.",
    )
    op.create_table(
        "closed_month",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("month"),
        comment="Months whose records were dropped, named by their first day, in UTC.",
    )
