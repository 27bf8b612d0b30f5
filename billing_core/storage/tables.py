"""The tables, as SQLAlchemy knows them; the migrations build the same (a test compares them).

Money is NUMERIC without a limit, in the client's currency; times carry their zone. `balance` holds
all that a turn locks and stands apart from `client`, so that settings can be applied at any time.
"""

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
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()


def _at(name: str, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _text(name: str, nullable: bool = False) -> Column[object]:
    return Column(name, Text, nullable=nullable)


def _money(name: str, nullable: bool = False) -> Column[object]:
    return Column(name, Numeric, nullable=nullable)


catalogue = Table(
    "catalogue",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="catalogue_is_one_row"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    comment="Counts the changes of definitions; whoever changes one locks this row first.",
)

reseller = Table(
    "reseller",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("parent_id", Integer, ForeignKey("reseller.id")),
    Column("capacity", Integer),
)

rate_table = Table(
    "rate_table",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _text("currency"),
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
    _at("at", nullable=False),
    _text("who"),
    _text("through"),
    _text("file"),
    _text("mode"),
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
    _text("code"),
    _text("destination"),
    _money("price_per_minute"),
    _money("setup_fee"),
    Column("min_volume_seconds", Integer, nullable=False),
    Column("interval_seconds", Integer, CheckConstraint("interval_seconds >= 1"), nullable=False),
    Column("grace_seconds", Integer, nullable=False),
    _at("effective_from"),
    _at("end_date"),
    _text("time_profile", nullable=True),
    Column("number_length_min", SmallInteger, nullable=False, server_default="0"),
    Column("number_length_max", SmallInteger, nullable=False, server_default="0"),
    Column("blocked", Boolean, nullable=False, server_default=text("false")),
    Column("since_import", BigInteger),
    Column("until_import", BigInteger),
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
    _money("factor"),
)

block = Table(
    "block",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _text("kind"),
    _text("value"),
    _text("reason"),
    _text("who"),
    _at("created_at", nullable=False),
    _at("expires_at"),
    _at("removed_at"),
)
Index("block_in_force", block.c.kind, block.c.value, postgresql_where=text("removed_at IS NULL"))

client = Table(
    "client",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _text("status"),
    _text("currency"),
    _text("timezone"),
    Column("reseller_id", Integer, ForeignKey("reseller.id")),
    Column("tags", ARRAY(Text), nullable=False),
    _text("bill_by"),
    Column("postpaid", Boolean, nullable=False),
    _money("credit"),
    Column("rate_table_id", Integer, ForeignKey("rate_table.id")),
    Column("capacity", Integer),
    Column("term_rate_table_id", Integer, ForeignKey("rate_table.id")),
    Column("term_capacity", Integer),
    _text("locale", nullable=True),
    _money("low_balance_threshold", nullable=True),
    Column("low_balance_capacity", Integer),
    Column("concurrency", Text, nullable=False, server_default="full"),
    Column("concurrency_calls", Integer),
    Column("concurrency_seconds", Integer),
    _money("charge_max", nullable=True),
    Column("refuse_losses", Boolean, nullable=False, server_default=text("false")),
    Column("company", JSONB, nullable=False),
    Column("changed_in", BigInteger, nullable=False),
)
Index("client_by_change", client.c.changed_in, client.c.id)

account = Table(
    "account",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("client_id", Integer, ForeignKey("client.id"), nullable=False, index=True),
    _text("name", nullable=True),
    _text("password", nullable=True),
    _text("ip", nullable=True),
    _text("ani", nullable=True),
    _text("tech_prefix"),
    Column("capacity", Integer),
    Column("orig", Boolean, nullable=False),
    Column("term", Boolean, nullable=False),
    _money("price_per_minute_max", nullable=True),
)

balance = Table(
    "balance",
    metadata,
    Column("client_id", Integer, ForeignKey("client.id"), primary_key=True),
    _money("live"),
    _money("reserved"),
    Column("in_use", Integer, nullable=False),
    Column("term_in_use", Integer, nullable=False),
    postgresql_with={"fillfactor": "50"},
)

capacity_counter = Table(
    "capacity_counter",
    metadata,
    Column("scope", SmallInteger, primary_key=True),
    Column("owner_id", Integer, primary_key=True, autoincrement=False),
    Column("capacity", Integer, nullable=False),
    Column("in_use", Integer, nullable=False),
    postgresql_with={"fillfactor": "50"},
    comment="Legs under way of accounts (1) and resellers (2) that have a capacity, and only of those.",
)

session = Table(
    "session",
    metadata,
    Column("leg_key", LargeBinary, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("client_id", Integer),
    Column("account_id", Integer),
    _text("nas"),
    _text("nas_box"),
    _text("leg"),
    _text("call_id"),
    _text("session_id"),
    _text("calling"),
    _text("called"),
    _at("opened_at", nullable=False),
    _at("look_at", nullable=False),
    _at("last_heard_at", nullable=False),
    _text("currency", nullable=True),
    _text("code", nullable=True),
    _text("destination", nullable=True),
    _money("price_per_minute", nullable=True),
    _money("setup_fee", nullable=True),
    Column("min_volume_seconds", Integer),
    Column("interval_seconds", Integer),
    Column("grace_seconds", Integer),
    _money("factor", nullable=True),
    _text("rounding", nullable=True),
    _at("rated_for"),
    _at("authorized_at"),
    Column("credit_time_seconds", Integer),
    Column("reserved_seconds", Integer),
    _text("decision", nullable=True),
    _money("reserved"),
    _money("posted"),
    Column("revision", Integer, nullable=False),
    _at("closed_at"),
    Column("estimated", Boolean, nullable=False),
    _at("setup_at"),
    _at("connect_at"),
    _at("disconnect_at"),
    _at("start_event_at"),
    _at("stop_event_at"),
    Column("known_seconds", BigInteger, nullable=False),
    Column("stop_seconds", BigInteger),
    Column("stopped", Boolean, nullable=False),
    Column("failed", Boolean, nullable=False),
    _text("disconnect_cause", nullable=True),
    postgresql_with={"fillfactor": "60"},
)
# Not by `state`: that changes at the Start, and an index that knows it would have to be written again.
Index("session_under_way", session.c.look_at, postgresql_where=text("closed_at IS NULL"))

xdr = Table(
    "xdr",
    metadata,
    Column("leg_key", LargeBinary, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("client_id", Integer),
    Column("account_id", Integer),
    _text("nas"),
    _text("leg"),
    _text("call_id"),
    _text("session_id"),
    _text("calling"),
    _text("called"),
    _text("code", nullable=True),
    _text("destination", nullable=True),
    _at("setup_at"),
    _at("connect_at"),
    _at("disconnect_at", nullable=False),
    _at("dated_at", nullable=False),
    Column("duration_seconds", BigInteger),
    Column("billed_seconds", BigInteger, nullable=False),
    _money("amount"),
    _text("currency", nullable=True),
    _text("state"),
    _text("reason", nullable=True),
    _text("disconnect_cause", nullable=True),
)
Index("xdr_by_client", xdr.c.client_id, xdr.c.dated_at)
Index("xdr_unbillable", xdr.c.dated_at, postgresql_where=text("state = 'unbillable'"))

entry = Table(
    "entry",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("client_id", Integer, nullable=False),
    _text("kind"),
    _money("amount"),
    _at("at", nullable=False),
    Column("leg_key", LargeBinary),
    Column("generation", Integer),
    Column("revision", Integer),
    _text("reference", nullable=True),
)
Index("entry_by_client", entry.c.client_id, entry.c.id)
Index(
    "entry_reference_is_unique",
    entry.c.client_id,
    entry.c.reference,
    unique=True,
    postgresql_where=text("reference IS NOT NULL"),
)

reboot = Table(
    "reboot",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _text("nas"),
    _text("nas_box"),
    _at("event_at", nullable=False),
    Column("starting", Boolean, nullable=False),
    _at("done_at"),
)
Index("reboot_is_unique", reboot.c.nas, reboot.c.nas_box, reboot.c.event_at, reboot.c.starting, unique=True)

decision = Table(
    "decision",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _at("at", nullable=False),
    _text("nas"),
    Column("leg_key", LargeBinary, nullable=False),
    _text("call_id"),
    _text("session_id"),
    Column("client_id", Integer),
    Column("account_id", Integer),
    _text("calling"),
    _text("called"),
    _text("reason"),
    _text("facts"),
    comment="Calls that were refused; what an accepted one was granted for stands in its session.",
)
Index("decision_by_call", decision.c.call_id)
Index("decision_by_session", decision.c.session_id)

disconnect = Table(
    "disconnect",
    metadata,
    Column("leg_key", LargeBinary, primary_key=True),
    Column("generation", Integer, primary_key=True),
    _text("nas"),
    _text("reason"),
    _at("asked_at", nullable=False),
    _at("next_at", nullable=False),
    Column("attempts", Integer, nullable=False),
    _at("done_at"),
    _text("outcome", nullable=True),
    comment="Legs that their NAS was or is to be asked to end (RFC 5176).",
)
Index("disconnect_to_do", disconnect.c.next_at, postgresql_where=text("done_at IS NULL"))

definition_file = Table(
    "definition_file",
    metadata,
    Column("path", Text, primary_key=True),
    _text("digest"),
    _at("applied_at", nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _at("at", nullable=False),
    _text("who"),
    _text("through"),
    _text("object_kind"),
    _text("object_name"),
    _text("field"),
    _text("before", nullable=True),
    _text("after", nullable=True),
)
Index("audit_by_object", audit.c.object_kind, audit.c.object_name, audit.c.id)
