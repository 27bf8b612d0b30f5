"""The rules of the money, checked against the whole database in one snapshot.

Nothing is locked, so that it can run beside a daemon under load; PostgreSQL shows all queries the same
moment. What a query can't compute is done here: every leg whose rate is still known is rated again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from billing_core.admin.calls.xdr_ids import ID_SQL
from billing_core.admin.ledger.invariants import INVARIANTS, Invariant
from billing_core.admin.ledger.suspicions import SUSPICIONS, Suspicion
from billing_core.admin.output import Record
from billing_core.asked import asked_numbers
from billing_core.credit_time import highest_cost
from billing_core.facts import Facts
from billing_core.limits import Limits
from billing_core.money import DEFAULT_ROUNDING, ONE, ZERO, read_rounding
from billing_core.rate_table import Rate
from billing_core.rating import billed_seconds, cost
from billing_core.session import State
from billing_core.xdr import XdrState

RECOMPUTED = "amounts_are_the_cost_of_the_duration"
SETTLED = "nothing_is_left_to_post"
TOLD = "records_tell_what_was_heard"
DEAREST = "open_legs_have_their_dearest_price"

# Rules for which every leg is rated again, by their number; see `_wrong_price` and those below it.
RATED_AGAIN = {RECOMPUTED: "I4", SETTLED: "I8", TOLD: "I10"}


_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Finding:
    """How many rows were checked for an invariant, what breaks it, and how many rows it can't tell of."""

    invariant: str
    checked: int
    differences: tuple[Record, ...]
    rule: str = ""
    left_out: int = 0

    def record(self) -> Record:
        """Return the finding for a JSON document."""
        return {
            "invariant": self.invariant,
            "rule": self.rule or None,
            "checked": self.checked,
            "left_out": self.left_out,
            "differences": list(self.differences),
        }


@dataclass(frozen=True, slots=True)
class Warned:
    """What looks like cheating, or like a switch that is set up wrongly, although no sum is broken."""

    warning: str
    found: tuple[Record, ...]

    def record(self) -> Record:
        """Return the warning for a JSON document."""
        return {"warning": self.warning, "found": list(self.found)}


def verify(engine: Engine, limits: Limits = _LIMITS) -> tuple[list[Finding], list[Warned]]:
    """Check every invariant in one snapshot, which locks nothing, and look for what is suspicious."""
    with engine.connect() as connection:
        snapshot = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        findings = [_finding(snapshot, invariant) for invariant in INVARIANTS]
        findings += [_dearest(snapshot, limits), *_rated_again(snapshot)]
        return findings, [_warned(snapshot, suspicion) for suspicion in SUSPICIONS]


def _warned(connection: Connection, suspicion: Suspicion) -> Warned:
    return Warned(suspicion.name, _rows(connection, suspicion.suspects))


def _rows(connection: Connection, statement: str) -> tuple[Record, ...]:
    return tuple(dict(row._mapping) for row in connection.execute(text(statement)))


def _finding(connection: Connection, invariant: Invariant) -> Finding:
    counted = f"SELECT count(*) FROM {invariant.table}"  # noqa: S608 - one of the constants above
    checked = connection.execute(text(counted)).scalar_one()
    differences = _rows(connection, invariant.offenders)
    left_out = connection.execute(text(invariant.left_out)).scalar_one() if invariant.left_out else 0
    return Finding(invariant.name, checked, differences, invariant.rule, left_out)


_OPEN_LEGS = f"""
    SELECT {ID_SQL.format("session")} AS id, session.* FROM session
    WHERE state <= 1 AND code IS NOT NULL ORDER BY leg_key, generation"""  # noqa: S608


def _dearest(connection: Connection, limits: Limits) -> Finding:
    """An open leg that was accepted for several numbers costs what the dearest of them does."""
    checked = 0
    found: list[Record] = []
    for row in connection.execute(text(_OPEN_LEGS).execution_options(yield_per=1000)):
        checked += 1
        rate = _rate(row)
        assert rate is not None, "a rate has a code and a price"
        highest = highest_cost(rate, limits.max_call_seconds)
        for asked in asked_numbers(row.asked):
            cost_of_other = highest_cost(asked.rate, limits.max_call_seconds)
            if cost_of_other > highest:
                told = {"id": row.id, "call_id": row.call_id, "called": row.called, "asked": asked.number}
                found.append({**told, "stated": highest, "found": cost_of_other})
    return Finding(DEAREST, checked, tuple(found))


# The rate that priced a leg is pinned in its session, as long as the session is of that generation.
_RATED = f"""
    SELECT session.call_id, session.session_id, session.posted, session.estimated, session.decided_seconds,
        session.state AS leg_state,
        {", ".join(f"session.{name} AS heard_{name}" for name in Facts._fields)},
        session.calling AS heard_calling, session.called AS heard_called,
        session.code, session.destination, session.price_per_minute, session.setup_fee,
        session.min_volume_seconds, session.interval_seconds, session.grace_seconds,
        session.factor, session.rounding,
        xdr.state, xdr.duration_seconds, xdr.amount, xdr.billed_seconds, xdr.setup_at, xdr.connect_at,
        xdr.disconnect_cause, xdr.calling, xdr.called
    FROM session JOIN xdr USING (leg_key, generation, revision)
    ORDER BY session.leg_key, session.generation"""  # noqa: S608

_CHARGED = {XdrState.RATED.value, XdrState.ESTIMATED.value}


def _rated_again(connection: Connection) -> Iterator[Finding]:
    """Rate every ended leg again whose rate is still known, in one reading."""
    checked = 0
    found: dict[str, list[Record]] = {name: [] for name in RATED_AGAIN}
    for row in connection.execute(text(_RATED).execution_options(yield_per=1000)):
        checked += 1
        rate = _rate(row)
        found[RECOMPUTED] += _wrong_price(row, rate)
        found[SETTLED] += _left_to_post(row, rate)
        found[TOLD] += _told_otherwise(row, rate)
    for name, rule in RATED_AGAIN.items():
        yield Finding(name, checked, tuple(found[name]), rule)


def _rate(row: Row[Any]) -> Rate | None:
    if row.price_per_minute is None:
        return None
    return Rate(
        row.code,
        row.destination,
        row.price_per_minute,
        row.setup_fee,
        row.min_volume_seconds,
        row.interval_seconds,
        row.grace_seconds,
        factor=ONE if row.factor is None else row.factor,
        rounding=read_rounding(row.rounding) if row.rounding else DEFAULT_ROUNDING,
    )


def _wrong_price(row: Row[Any], rate: Rate | None) -> Iterator[Record]:
    """The amount is the cost of the duration that the record tells, by the rate that was pinned."""
    expected, billed = ZERO, 0
    if row.state in _CHARGED and rate is not None:
        expected = cost(rate, row.duration_seconds or 0)
        billed = billed_seconds(rate, row.duration_seconds or 0)
    if (row.amount, row.billed_seconds) != (expected, billed):
        yield {
            "call_id": row.call_id,
            "session_id": row.session_id,
            "stated": row.amount,
            "found": expected,
            "stated_billed_seconds": row.billed_seconds,
            "found_billed_seconds": billed,
        }


def _left_to_post(row: Row[Any], rate: Rate | None) -> Iterator[Record]:
    """To hear every record again changes nothing: the cost of all that is known is what was posted."""
    owed = ZERO
    if row.state in _CHARGED and rate is not None:
        owed = cost(rate, _heard_seconds(row, rate) or 0)
    if row.posted != owed:
        yield {"call_id": row.call_id, "session_id": row.session_id, "stated": row.posted, "found": owed}


def _told_otherwise(row: Row[Any], rate: Rate | None) -> Iterator[Record]:
    """The last revision tells what the leg's records told.

    A leg that a failure of another's had ended goes on: what its next records tell waits for its end.
    """
    if State(row.leg_state).is_open:
        return
    values = row._mapping
    heard = {name: values[f"heard_{name}"] for name in _TOLD_AS_HEARD}
    heard["duration_seconds"] = _heard_seconds(row, rate)
    for name, value in heard.items():
        if values[name] != value:
            yield {
                "call_id": row.call_id,
                "session_id": row.session_id,
                "field": name,
                "stated": values[name],
                "found": value,
            }


_TOLD_AS_HEARD = ("setup_at", "connect_at", "disconnect_cause", "calling", "called")


def _heard_seconds(row: Row[Any], rate: Rate | None) -> int | None:
    if row.decided_seconds is not None:
        return int(row.decided_seconds)
    facts = Facts(*(row._mapping[f"heard_{name}"] for name in Facts._fields))
    if row.estimated:
        return facts.known_seconds
    return facts.duration_seconds(rate.rounding if rate else DEFAULT_ROUNDING)
