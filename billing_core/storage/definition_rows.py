"""Rows of definitions as values of the core, for the daemon's catalogue and for commands alike."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from billing_core.block import Block, BlockKind, Blocks, blocks
from billing_core.client import (
    DEFAULT_CONCURRENCY,
    BillBy,
    Client,
    Concurrency,
    LowBalance,
    Policy,
    Status,
)
from billing_core.time_profile import Span, TimeProfile

CLIENT_COLUMNS = (
    "id",
    "name",
    "status",
    "currency",
    "postpaid",
    "credit",
    "bill_by",
    "rate_table_id",
    "capacity",
    "term_rate_table_id",
    "term_capacity",
    "low_balance_threshold",
    "low_balance_capacity",
    "locale",
    "timezone",
    "concurrency",
    "concurrency_calls",
    "concurrency_seconds",
    "charge_max",
    "refuse_losses",
    "low_balance_notify_client",
    "low_balance_notify_admin",
)
"""What `client_of` reads."""


def client_of(row: Mapping[str, Any], reseller_ids: Iterable[int]) -> Client:
    """Return the client of a row of `client`; *reseller_ids* are his resellers', from the nearest on."""
    threshold, places = row["low_balance_threshold"], row["low_balance_capacity"]
    return Client(
        id=row["id"],
        name=row["name"],
        status=Status(row["status"]),
        currency=row["currency"],
        postpaid=row["postpaid"],
        credit=row["credit"],
        bill_by=BillBy(row["bill_by"]),
        rate_table_id=row["rate_table_id"],
        capacity=row["capacity"],
        term_rate_table_id=row["term_rate_table_id"],
        term_capacity=row["term_capacity"],
        low_balance=LowBalance(threshold, places) if threshold is not None and places is not None else None,
        locale=row["locale"],
        reseller_ids=tuple(reseller_ids),
        timezone=UTC if row["timezone"] == "UTC" else ZoneInfo(row["timezone"]),
        concurrency=_concurrency(row),
        charge_max=row["charge_max"],
        refuse_losses=row["refuse_losses"],
        notify_client=row["low_balance_notify_client"],
        notify_admin=row["low_balance_notify_admin"],
    )


def _concurrency(row: Mapping[str, Any]) -> Concurrency:
    policy, default = Policy(row["concurrency"]), DEFAULT_CONCURRENCY
    if policy is Policy.FULL:
        return default
    calls, seconds = row["concurrency_calls"], row["concurrency_seconds"]
    return Concurrency(policy, calls or default.calls, seconds or default.seconds)


def time_profile_of(name: str, spans: Iterable[Sequence[Any]]) -> TimeProfile:
    """Return the time profile of a row of `time_profile`."""
    return TimeProfile(name, tuple(map(kept_span, spans)))


def stored_span(span: Span) -> list[Any]:
    """Return *span* as the database keeps it: weekdays, and the minutes of its begin and end."""
    return [sorted(span.weekdays), span.begin_minute, span.end_minute]


def kept_span(stored: Sequence[Any]) -> Span:
    """Return the span that `stored_span` made."""
    weekdays, begin, end = stored
    return Span(frozenset(weekdays), begin, end)


def blocks_of(rows: Iterable[Sequence[Any]]) -> Blocks:
    """Return the blocks of rows with kind, value, end and reason."""
    return blocks(Block(BlockKind(kind), *rest) for kind, *rest in rows)
