"""The tables that grow with the calls, in partitions of a month each, and what outlives those.

A partitioned table can't promise that a key is unique across its months, so that stands elsewhere: a
leg's revisions are counted in its session, a client's references in `entry_reference`.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from billing_core.storage.columns import column_at, column_money, column_text, metadata


def by_time(name: str, column: Column[Any]) -> Index:
    """Index rows that only ever come by their time: it costs those who write next to nothing."""
    return Index(name, column, postgresql_using="brin", postgresql_with={"autosummarize": True})


xdr = Table(
    "xdr",
    metadata,
    Column("leg_key", LargeBinary, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("client_id", Integer),
    Column("account_id", Integer),
    column_text("nas"),
    column_text("leg"),
    column_text("call_id"),
    column_text("session_id"),
    column_text("calling"),
    column_text("called"),
    column_text("code", nullable=True),
    column_text("destination", nullable=True),
    column_at("setup_at"),
    column_at("connect_at"),
    column_at("disconnect_at", nullable=False),
    column_at("dated_at", nullable=False),
    Column("duration_seconds", BigInteger),
    Column("billed_seconds", BigInteger, nullable=False),
    column_money("amount"),
    column_text("currency", nullable=True),
    column_text("state"),
    column_text("reason", nullable=True),
    column_text("disconnect_cause", nullable=True),
    Column("recorded_at", DateTime(timezone=True), primary_key=True),
    postgresql_partition_by="RANGE (recorded_at)",
    comment="That a leg has no revision twice is seen to by its session, whose row is locked.",
)
Index("xdr_by_client", xdr.c.client_id, xdr.c.dated_at)
by_time("xdr_recently", xdr.c.recorded_at)
Index("xdr_unbillable", xdr.c.dated_at, postgresql_where=text("state = 'unbillable'"))

entry = Table(
    "entry",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("client_id", Integer, nullable=False),
    column_text("kind"),
    column_money("amount"),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("leg_key", LargeBinary),
    Column("generation", Integer),
    Column("revision", Integer),
    column_text("reference", nullable=True),
    column_text("reason", nullable=True),
    column_text("who", nullable=True),
    column_money("fixed", nullable=True),
    postgresql_partition_by="RANGE (at)",
    comment="`fixed` is what an invoice or a carried sum adds to the fixed balance.",
)
Index("entry_by_client", entry.c.client_id, entry.c.id)
# Entries of the fixed balance, which is summed: few beside those of calls, for which it costs nothing.
Index(
    "entry_of_fixed",
    entry.c.client_id,
    postgresql_include=["kind", "amount", "fixed"],
    postgresql_where=text("kind IN ('payment', 'refund', 'invoice', 'carried')"),
)
by_time("entry_recently", entry.c.at)

entry_reference = Table(
    "entry_reference",
    metadata,
    Column("client_id", Integer, primary_key=True, autoincrement=False),
    Column("reference", Text, primary_key=True),
    column_text("kind"),
    column_money("amount"),
    column_at("at", nullable=False),
    comment="What each client's references were used for; it outlives the months of the entries.",
)

closed_month = Table(
    "closed_month",
    metadata,
    Column("month", Date, primary_key=True),
    column_at("closed_at", nullable=False),
    column_text("who"),
    comment="Months whose records were dropped, named by their first day, in UTC.",
)

decision = Table(
    "decision",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    column_text("nas"),
    Column("leg_key", LargeBinary, nullable=False),
    column_text("call_id"),
    column_text("session_id"),
    Column("client_id", Integer),
    Column("account_id", Integer),
    column_text("calling"),
    column_text("called"),
    column_text("reason"),
    column_text("facts"),
    postgresql_partition_by="RANGE (at)",
    comment="Calls that were refused; what an accepted one was granted for stands in its session.",
)
Index("decision_by_call", decision.c.call_id)
Index("decision_by_session", decision.c.session_id)
by_time("decision_recently", decision.c.at)
