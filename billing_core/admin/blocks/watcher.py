"""The watcher: looks for accounts and clients who did more than a watch allows, and blocks them.

Each watch is one query over what was recorded within its time. Nobody is blocked twice, and of somebody
whose block has ended only what came after it counts: who lifts a block doesn't meet it again for old calls.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, text

from billing_core.admin.blocks import blocks
from billing_core.admin.definitions.audit import Author
from billing_core.admin.definitions.watch_definition import CONDITIONS
from billing_core.admin.locks import moment
from billing_core.admin.mail import outbox
from billing_core.admin.output import CommandError, Record, instant
from billing_core.block import BlockKind
from billing_core.denial import Denial
from billing_core.money import plain
from billing_core.storage import tables

WHO = "watch"
"""Who has blocked what the watcher blocks."""

# Any constant number serves, as long as every program uses the same (ASCII "watch").
_LOCK = 0x7761746368

Watch = Row[Any]
"""A row of table `watch`."""


@dataclass(frozen=True, slots=True)
class _Condition:
    """What is counted: rows with client_id, account_id, the leg, at and amount, and what they add up to."""

    rows: str
    measure: str
    words: Callable[[Watch, "_Offender"], str]


@dataclass(frozen=True, slots=True)
class _Offender:
    """Who did more than a watch allows; `account` is the label of his account, if these are watched."""

    client_id: int
    client: str
    currency: str
    is_told: bool
    account: str | None
    found: int | Decimal


@contextmanager
def alone(engine: Engine) -> Iterator[Callable[[], None]]:
    """Be the only watcher of the database for the while; raise CommandError if there is another one.

    What is given raises DBAPIError as soon as that no longer holds.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar_one():
            raise CommandError("another `billing watch` watches this database; one is enough")
        try:
            yield lambda: connection.execute(text("SELECT 1")).close()
        finally:
            # In the pool the connection would keep the lock; one that broke has lost it.
            if not connection.invalidated:
                connection.execute(text("SELECT pg_advisory_unlock_all()"))


def look(engine: Engine) -> list[Record]:
    """Block everybody who did more than a watch allows, and return the new blocks, each with its watch."""
    with engine.connect() as connection:
        watches = connection.execute(
            select(tables.watch).where(tables.watch.c.enabled).order_by(tables.watch.c.id)
        ).all()
    return [block for watch in watches for block in _watched(engine, watch)]


def _watched(engine: Engine, watch: Watch) -> list[Record]:
    with engine.connect() as connection:
        found = list(_offenders(connection, watch, moment(connection)))
    if not found:
        return []
    with blocks.change(engine) as change:
        return [block for offender in found for block in _blocked(change, watch, offender)]


def _blocked(change: blocks.BlockChange, watch: Watch, offender: _Offender) -> Iterator[Record]:
    """Block somebody, unless he was blocked meanwhile, and queue what is told of it."""
    kind, value = BlockKind.CLIENT, offender.client
    reason = _reason(watch, offender)
    if offender.account is not None:
        if _is_shared(change.connection, offender.account):
            # A block of the account would bar others: it goes by the label, which is theirs, too.
            reason += f" per account; this was {offender.account}"
        else:
            kind, value = BlockKind.ACCOUNT, offender.account
    if blocks.is_blocked(change, kind, value):
        return
    expires = timedelta(minutes=watch.block_minutes) if watch.block_minutes is not None else None
    block = blocks.added(
        change, blocks.NewBlock(kind, value, reason, expires), Author(WHO, f"watch {watch.name}")
    )
    expires_at = block["expires_at"]
    facts = {
        "client": offender.client,
        "blocked": kind.value,
        "value": value,
        "reason": reason,
        "watch": watch.name,
        "expires_at": instant(expires_at) if expires_at else None,
    }
    outbox.put_blocked(change.connection, change.now, offender.client_id, facts, is_mailed=offender.is_told)
    yield {**block, "client": offender.client, "watch": watch.name}


def _is_shared(connection: Connection, label: str) -> bool:
    statement = "SELECT count(DISTINCT client_id) > 1 FROM account WHERE COALESCE(name, ip, ani) = :label"
    return bool(connection.execute(text(statement), {"label": label}).scalar_one())


# --- what is counted --------------------------------------------------------------------------------

# The last revision of a leg that has any within the time: a later one can't be older.
_LAST_XDRS = """
    SELECT DISTINCT ON (leg_key, generation)
        client_id, account_id, leg_key, generation, leg, state, duration_seconds, recorded_at
    FROM xdr WHERE recorded_at > :since ORDER BY leg_key, generation, revision DESC"""

# A refused question and the record of its failure, which is of the first leg of its name, are one call.
# Refusals that say nothing about the caller, and those that name somebody whom nobody proved to be: whoever
# knows a name must not get its owner blocked.
_NOT_HIS = f"('{Denial.BLOCKED}', '{Denial.FAILURE}')"
_UNPROVEN = f"('{Denial.BAD_PASSWORD}', '{Denial.UNSUPPORTED_DIGEST}', '{Denial.UNTRUSTED_PATH}')"


def _counted(count: object, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


_CONDITIONS: Mapping[str, _Condition] = {
    "failed_calls_max": _Condition(
        f"""
        WITH refused AS MATERIALIZED (SELECT * FROM decision WHERE at > :since)
        SELECT client_id, account_id, leg_key, 0 AS generation, at, 0 AS amount FROM refused
        WHERE reason NOT IN {_NOT_HIS} AND reason NOT IN {_UNPROVEN}
        UNION ALL
        SELECT client_id, account_id, leg_key, generation, recorded_at, 0 FROM ({_LAST_XDRS}) AS last
        WHERE leg = 'origination' AND duration_seconds = 0 AND state <> 'recorded' AND leg_key NOT IN (
            SELECT leg_key FROM refused WHERE reason IN {_NOT_HIS}
        ) AND (leg_key NOT IN (SELECT leg_key FROM refused WHERE reason IN {_UNPROVEN}) OR EXISTS (
            SELECT FROM session WHERE session.leg_key = last.leg_key
                AND session.generation = last.generation AND session.authorized_at IS NOT NULL))""",  # noqa: S608
        "count(DISTINCT (leg_key, generation))",
        lambda watch, offender: _counted(offender.found, "failed call"),
    ),
    "short_calls_max": _Condition(
        f"""
        SELECT client_id, account_id, leg_key, generation, recorded_at AS at, 0 AS amount
        FROM ({_LAST_XDRS}) AS last
        WHERE leg = 'origination' AND duration_seconds BETWEEN 1 AND :short_seconds""",  # noqa: S608
        "count(DISTINCT (leg_key, generation))",
        lambda watch, offender: (
            f"{_counted(offender.found, 'answered call')} of at most {watch.short_seconds} s"
        ),
    ),
    "spend_max": _Condition(
        """
        SELECT entry.client_id, session.account_id, leg_key, generation, entry.at, -entry.amount AS amount
        FROM entry JOIN session USING (leg_key, generation)
        WHERE entry.at > :since AND session.leg = 'origination'""",
        "sum(fact.amount)",
        lambda watch, offender: f"{plain(Decimal(offender.found))} {offender.currency} spent",
    ),
}

_LABEL = "COALESCE(account.name, account.ip, account.ani)"

# An end of a block that has not come yet is no end: who is blocked is passed over.
_OFFENDERS = """
    WITH ended AS MATERIALIZED (
        SELECT kind, value, max(LEAST(removed_at, expires_at)) AS at,
            bool_or(COALESCE(LEAST(removed_at, expires_at) > :now, true)) AS in_force
        FROM block WHERE kind IN ('account', 'client') GROUP BY kind, value
    )
    SELECT client.id AS client_id, client.name AS client, client.currency,
        COALESCE(client.company ->> 'notify_about_blocks' = 'true', false) AS is_told,
        {account} AS account, {measure} AS found
    FROM ({rows}) AS fact
    JOIN client ON client.id = fact.client_id {joined}
    LEFT JOIN ended AS of_client ON of_client.kind = 'client' AND of_client.value = client.name
    LEFT JOIN ended AS of_account ON of_account.kind = 'account' AND of_account.value = {account}
    WHERE client.status = 'active' AND fact.at > GREATEST(:since, of_client.at, of_account.at)
        AND of_client.in_force IS NOT TRUE AND of_account.in_force IS NOT TRUE
        AND (CAST(:clients AS text[]) || CAST(:tags AS text[]) = '{{}}'
            OR client.name = ANY(:clients) OR client.tags && CAST(:tags AS text[]))
    GROUP BY client.id, {account} HAVING {measure} > :allowed ORDER BY client.id, account"""


def _offenders(connection: Connection, watch: Watch, now: datetime) -> Iterator[_Offender]:
    condition = _CONDITIONS[_condition(watch)]
    per_account = watch.per == BlockKind.ACCOUNT
    statement = _OFFENDERS.format(
        rows=condition.rows,
        measure=condition.measure,
        account=_LABEL if per_account else "CAST(NULL AS text)",
        joined="JOIN account ON account.id = fact.account_id" if per_account else "",
    )
    values = {
        "now": now,
        "since": now - timedelta(minutes=watch.minutes),
        "allowed": getattr(watch, _condition(watch)),
        "clients": watch.clients,
        "tags": watch.tags,
        "short_seconds": watch.short_seconds,
    }
    for row in connection.execute(text(statement), values):
        yield _Offender(*row)


def _condition(watch: Watch) -> str:
    return next(name for name in CONDITIONS if getattr(watch, name) is not None)


def _reason(watch: Watch, offender: _Offender) -> str:
    name = _condition(watch)
    within = f"within {_counted(watch.minutes, 'minute')}"
    allowed = getattr(watch, name)
    most = plain(allowed) if isinstance(allowed, Decimal) else allowed
    return f'{_CONDITIONS[name].words(watch, offender)} {within}, watch "{watch.name}" allows {most}'
