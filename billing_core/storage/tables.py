"""The tables, as SQLAlchemy knows them; the migrations build the same (a test compares them).

Money is NUMERIC without a limit, in the client's currency; times carry their zone. `balance` holds
all that a turn locks and stands apart from `client`, so that settings can be applied at any time.
The tables that grow with the calls stand in `ledger_tables`, prices in `rate_tables`, what people are told
in `outbox_tables`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from billing_core.storage.columns import (
    amounts_are_numbers,
    column_at,
    column_flag,
    column_money,
    column_text,
)
from billing_core.storage.columns import metadata as metadata
from billing_core.storage.ledger_tables import by_time
from billing_core.storage.ledger_tables import closed_month as closed_month
from billing_core.storage.ledger_tables import decision as decision
from billing_core.storage.ledger_tables import entry as entry
from billing_core.storage.ledger_tables import entry_reference as entry_reference
from billing_core.storage.ledger_tables import xdr as xdr
from billing_core.storage.outbox_tables import event as event
from billing_core.storage.outbox_tables import mail as mail
from billing_core.storage.rate_tables import exchange_rate as exchange_rate
from billing_core.storage.rate_tables import rate as rate
from billing_core.storage.rate_tables import rate_import as rate_import
from billing_core.storage.rate_tables import rate_table as rate_table
from billing_core.storage.rate_tables import time_profile as time_profile

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

block = Table(
    "block",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    column_text("kind"),
    column_text("value"),
    column_text("reason"),
    column_text("who"),
    column_at("created_at", nullable=False),
    column_at("expires_at"),
    column_at("removed_at"),
)
Index("block_in_force", block.c.kind, block.c.value, postgresql_where=text("removed_at IS NULL"))

watch = Table(
    "watch",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    column_text("per"),
    column_money("spend_max", nullable=True),
    Column("short_calls_max", Integer),
    Column("short_seconds", Integer),
    Column("failed_calls_max", Integer),
    Column("minutes", Integer, nullable=False),
    Column("block_minutes", Integer),
    Column("clients", ARRAY(Text), nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("enabled", Boolean, nullable=False),
    comment="What an account or a client may do within so many minutes before it is blocked.",
)

template = Table(
    "template",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("fields", JSONB, nullable=False),
    comment="Fields that clients have who name the template and do not set them themselves.",
)

client = Table(
    "client",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    column_text("status"),
    column_text("currency"),
    column_text("timezone"),
    Column("reseller_id", Integer, ForeignKey("reseller.id"), index=True),
    Column("template_id", Integer, ForeignKey("template.id"), index=True),
    Column("tags", ARRAY(Text), nullable=False),
    column_text("tax_profile", nullable=True),
    column_text("bill_by"),
    column_flag("hidden_numbers"),
    column_flag("panel_enabled"),
    column_text("panel_login", nullable=True),
    column_text("panel_password", nullable=True),
    Column("postpaid", Boolean, nullable=False),
    column_money("credit"),
    column_text("payment_terms", nullable=True),
    Column("rate_table_id", Integer, ForeignKey("rate_table.id")),
    column_text("routing_plan", nullable=True),
    Column("capacity", Integer),
    Column("term_rate_table_id", Integer, ForeignKey("rate_table.id")),
    Column("term_capacity", Integer),
    column_text("locale", nullable=True),
    column_money("low_balance_threshold", nullable=True),
    Column("low_balance_capacity", Integer),
    column_money("low_balance_notify_client", nullable=True),
    column_money("low_balance_notify_admin", nullable=True),
    column_flag("autoinvoicing"),
    column_text("invoice_template", nullable=True),
    Column("last_invoiced", Date),
    column_flag("rate_notification"),
    Column("rate_notification_format", Text, nullable=False, server_default="xlsx"),
    Column("rate_notification_type", Text, nullable=False, server_default="all"),
    column_flag("auto_payment"),
    column_money("auto_payment_extra_amount", nullable=True),
    Column("concurrency", Text, nullable=False, server_default="full"),
    Column("concurrency_calls", Integer),
    Column("concurrency_seconds", Integer),
    column_money("charge_max", nullable=True),
    column_flag("refuse_losses"),
    Column("company", JSONB, nullable=False),
    Column("own", ARRAY(Text), nullable=False, server_default="{}"),
    Column("changed_in", BigInteger, nullable=False),
    amounts_are_numbers("client", "credit", "charge_max", "low_balance_threshold"),
    comment="`own` names the fields that the client sets himself; others are his template's or default.",
)
Index("client_by_change", client.c.changed_in, client.c.id)
Index(
    "client_by_folded_name",
    func.lower(client.c.name).label("folded"),
    postgresql_ops={"folded": "text_pattern_ops"},
)
Index("client_panel_login", client.c.panel_login, unique=True)

account = Table(
    "account",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("client_id", Integer, ForeignKey("client.id"), nullable=False, index=True),
    column_text("name", nullable=True),
    column_text("password", nullable=True),
    column_text("ip", nullable=True),
    column_text("ani", nullable=True),
    column_text("tech_prefix"),
    Column("capacity", Integer),
    Column("orig", Boolean, nullable=False),
    Column("term", Boolean, nullable=False),
    column_money("price_per_minute_max", nullable=True),
    amounts_are_numbers("account", "price_per_minute_max"),
)

balance = Table(
    "balance",
    metadata,
    Column("client_id", Integer, ForeignKey("client.id"), primary_key=True),
    column_money("live"),
    column_money("reserved"),
    Column("in_use", Integer, nullable=False),
    Column("term_in_use", Integer, nullable=False),
    Column("warned", SmallInteger, nullable=False, server_default="0"),
    amounts_are_numbers("balance", "live", "reserved"),
    postgresql_with={"fillfactor": "50"},
    comment="`warned` has bit 1 when the client was told that his money is low, bit 2 when the admin was.",
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
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("state", SmallInteger, nullable=False),
    Column("client_id", Integer),
    Column("account_id", Integer),
    column_text("nas"),
    column_text("nas_box"),
    Column("nas_address", Text, nullable=False, server_default=""),
    Column("nas_source", Text, nullable=False, server_default=""),
    column_text("leg"),
    column_text("call_id"),
    column_text("session_id"),
    column_text("calling"),
    column_text("called"),
    column_at("opened_at", nullable=False),
    column_at("look_at", nullable=False),
    column_at("last_heard_at", nullable=False),
    column_text("currency", nullable=True),
    column_text("code", nullable=True),
    column_text("destination", nullable=True),
    column_money("price_per_minute", nullable=True),
    column_money("setup_fee", nullable=True),
    Column("min_volume_seconds", Integer),
    Column("interval_seconds", Integer),
    Column("grace_seconds", Integer),
    column_money("factor", nullable=True),
    column_text("rounding", nullable=True),
    column_at("rated_for"),
    column_at("authorized_at"),
    Column("credit_time_seconds", Integer),
    Column("reserved_seconds", Integer),
    column_text("decision", nullable=True),
    Column("tags", Text, nullable=False, server_default=""),
    Column("asked_session_id", Text, nullable=False, server_default=""),
    Column("call_type", Text, nullable=False, server_default=""),
    Column("questions", Integer, nullable=False, server_default="0"),
    column_text("asked", nullable=True),
    Column("decided_seconds", BigInteger),
    column_money("reserved"),
    column_money("posted"),
    Column("revision", Integer, nullable=False),
    column_at("closed_at"),
    Column("estimated", Boolean, nullable=False),
    column_at("setup_at"),
    column_at("connect_at"),
    column_at("disconnect_at"),
    column_at("start_event_at"),
    column_at("stop_event_at"),
    Column("known_seconds", BigInteger, nullable=False),
    Column("stop_seconds", BigInteger),
    Column("overrun_seconds", BigInteger),
    column_flag("answered"),
    Column("stopped", Boolean, nullable=False),
    Column("failed", Boolean, nullable=False),
    column_text("disconnect_cause", nullable=True),
    column_at("start_heard_at"),
    column_flag("start_delay_told"),
    postgresql_with={"fillfactor": "60"},
)
# Not by `state`: that changes at the Start, and an index that knows it would have to be written again.
Index("session_under_way", session.c.look_at, postgresql_where=text("closed_at IS NULL"))

reboot = Table(
    "reboot",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    column_text("nas"),
    column_text("nas_box"),
    Column("nas_address", Text, nullable=False, server_default=""),
    Column("nas_source", Text, nullable=False, server_default=""),
    column_at("event_at", nullable=False),
    Column("starting", Boolean, nullable=False),
    column_at("done_at"),
)
Index(
    "reboot_is_unique",
    *(reboot.c[name] for name in ("nas", "nas_box", "nas_address", "nas_source", "event_at", "starting")),
    unique=True,
)

unknown_record = Table(
    "unknown_record",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    column_text("nas"),
    column_text("nas_box"),
    column_at("at", nullable=False),
    Column("status", BigInteger, nullable=False),
    column_text("session_id"),
    column_text("attributes"),
    comment="Accounting of kinds that we do not know: acknowledged, never charged.",
)
Index("unknown_record_by_time", unknown_record.c.at)

disconnect = Table(
    "disconnect",
    metadata,
    Column("leg_key", LargeBinary, primary_key=True),
    Column("generation", Integer, primary_key=True),
    column_text("nas"),
    column_text("reason"),
    column_at("asked_at", nullable=False),
    column_at("next_at", nullable=False),
    Column("attempts", Integer, nullable=False),
    column_at("done_at"),
    column_text("outcome", nullable=True),
    comment="Legs that their NAS was or is to be asked to end (RFC 5176).",
)
Index("disconnect_by_time", disconnect.c.asked_at)
Index("disconnect_to_do", disconnect.c.next_at, postgresql_where=text("done_at IS NULL"))

proof_use = Table(
    "proof_use",
    metadata,
    Column("client_id", Integer, primary_key=True, autoincrement=False),
    Column("use", LargeBinary, primary_key=True),
    Column("leg_key", LargeBinary, nullable=False),
    Column("generation", Integer),
    column_at("used_at", nullable=False),
    comment="Which call a response to a challenge of ours has served, while it could be repeated.",
)
Index("proof_use_by_time", proof_use.c.used_at)

pulse = Table(
    "pulse",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    column_at("at", nullable=False),
    postgresql_with={"fillfactor": "50"},
    comment="Written each second by a daemon, which so finds out whether what it writes is kept.",
)

definition_file = Table(
    "definition_file",
    metadata,
    Column("path", Text, primary_key=True),
    column_text("digest"),
    column_at("applied_at", nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    column_at("at", nullable=False),
    column_text("who"),
    column_text("through"),
    column_text("object_kind"),
    column_text("object_name"),
    column_text("field"),
    column_text("before", nullable=True),
    column_text("after", nullable=True),
    Column("version", BigInteger),
    Column("object_id", Integer),
    Column("client_id", Integer),
    comment="`version` is the catalogue's that the change made, `client_id` the one it is about, if any.",
)
Index("audit_by_object", audit.c.object_kind, audit.c.object_name, audit.c.id)
Index("audit_by_client", audit.c.client_id, audit.c.id)
by_time("audit_by_version", audit.c.version)
by_time("audit_by_time", audit.c.at)

REMOVED = "removed"
"""The field of the audit's row that tells that somebody was removed for good."""
Index(
    "audit_of_removed_clients",
    audit.c.version,
    postgresql_where=text(f"object_kind = 'client' AND field = '{REMOVED}'"),
)
