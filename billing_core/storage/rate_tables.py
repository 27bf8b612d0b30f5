"""The tables of prices: rate tables with their versions, when prices hold, and what currencies are worth."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from billing_core.storage.columns import amounts_are_numbers, column_at, column_money, column_text, metadata

rate_table = Table(
    "rate_table",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    column_text("currency"),
    Column("parent_id", Integer, ForeignKey("rate_table.id")),
    Column("rounding_places", SmallInteger, nullable=False, server_default="6"),
    Column("rounding_mode", Text, nullable=False, server_default="half_up"),
    Column("duration_rounding", Text, nullable=False, server_default="up"),
    Column("changed_in", BigInteger, nullable=False),
)

rate_import = Table(
    "rate_import",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("rate_table_id", Integer, ForeignKey("rate_table.id"), nullable=False, index=True),
    column_at("at", nullable=False),
    column_text("who"),
    column_text("through"),
    column_text("file"),
    column_text("mode"),
    Column("added", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("undone_by", BigInteger, ForeignKey("rate_import.id")),
    comment="Versions of rate tables; one that was rolled back names the version that did it.",
)

rate = Table(
    "rate",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("rate_table_id", Integer, ForeignKey("rate_table.id"), nullable=False),
    column_text("code"),
    column_text("destination"),
    column_money("price_per_minute"),
    column_money("setup_fee"),
    Column("min_volume_seconds", Integer, nullable=False),
    Column("interval_seconds", Integer, CheckConstraint("interval_seconds >= 1"), nullable=False),
    Column("grace_seconds", Integer, nullable=False),
    column_at("effective_from"),
    column_at("end_date"),
    column_text("time_profile", nullable=True),
    Column("number_length_min", SmallInteger, nullable=False, server_default="0"),
    Column("number_length_max", SmallInteger, nullable=False, server_default="0"),
    Column("blocked", Boolean, nullable=False, server_default=text("false")),
    Column("since_import", BigInteger),
    Column("until_import", BigInteger),
    amounts_are_numbers("rate", "price_per_minute", "setup_fee", also=" AND setup_fee >= 0"),
    comment="A row belongs to the versions from since_import to before until_import; absent is without end.",
)
Index("rate_by_table", rate.c.rate_table_id, rate.c.id)
Index(
    "rate_is_unique",
    rate.c.rate_table_id,
    rate.c.code,
    text("COALESCE(effective_from, '-infinity'::timestamptz)"),
    text("COALESCE(time_profile, '')"),
    unique=True,
    postgresql_where=text("until_import IS NULL"),
)

time_profile = Table(
    "time_profile",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("spans", JSONB, nullable=False),
)

exchange_rate = Table(
    "exchange_rate",
    metadata,
    Column("currency", Text, primary_key=True),
    Column("into", Text, primary_key=True),
    Column("effective_from", DateTime(timezone=True), primary_key=True),
    column_money("factor"),
    amounts_are_numbers("exchange_rate", "factor", also=" AND factor > 0"),
)
