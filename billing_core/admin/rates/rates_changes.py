"""What a staged rates file changes in a rate table, worked out and written by the database.

Rates that an import brings bear its id in `since_import`, rates that it takes out of use in
`until_import`. An ended rate is a changed one: taken out, and put back with an end.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

from billing_core.admin.definitions.audit import Author
from billing_core.admin.definitions.difference import RatesChange
from billing_core.admin.rates.rates_staging import Staged, prepare_for_many
from billing_core.admin.rates.rates_versions import new_version
from billing_core.rate_table import RATE_FIELDS
from billing_core.rates_file import RateRow
from billing_core.settings import Fault

DEFAULT_JUMP_PERCENT = 50

_WARNINGS_MAX = 20
_FEE_PER_PRICE_MAX = 1000


class Mode(StrEnum):
    """UPDATE changes what the file names and adds what is new; FULL also ends what it does not name."""

    UPDATE = "update"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class RatesPlan:
    """What a staged file changes in a rate table from `now` on, worked out but not written.

    `giveaways` are its rates by which calls cost nothing or less: the first as faults, the others counted.
    """

    staged: Staged
    mode: Mode
    now: datetime
    change: RatesChange
    giveaways: tuple[Fault, ...] = ()
    more_giveaways: int = 0


# --- comparing --------------------------------------------------------------------------------------

# Everything that a rate says but since when.
_TERMS = [name for name in RATE_FIELDS if name not in ("code", "time_profile", "effective_from")]


def _row_of(table: str) -> str:
    return f"({', '.join(f'{table}.{name}' for name in _TERMS)})"


_NAMED = "JOIN (SELECT DISTINCT code FROM rate_staged WHERE batch = :batch) AS named USING (code)"

# A row with a date is the rate of its code and time profile from that date. A row without one reaches
# back to the start when that is new, or when the file also gives it a dated row, or when it has ended
# already; else it holds from now on, and the rate in force ends.
_PLAN = f"""
    WITH stored AS (
        SELECT rate.*, coalesce(rate.time_profile, '') AS profile,
            coalesce(effective_from <= :now, TRUE) AS has_begun,
            coalesce(end_date <= :now, FALSE) AS has_ended
        FROM rate {{named}} WHERE rate_table_id = :table AND until_import IS NULL
    ), series AS (
        SELECT DISTINCT ON (code, profile) *, has_begun AND NOT has_ended AS is_current
        FROM stored ORDER BY code, profile, has_begun DESC, effective_from DESC NULLS LAST
    ), dated AS (
        SELECT DISTINCT code, time_profile FROM rate_staged
        WHERE batch = :batch AND effective_from IS NOT NULL
    ), file AS (
        SELECT staged.*, staged.time_profile AS profile, staged.effective_from IS NOT NULL
            OR dated.code IS NOT NULL OR coalesce(staged.end_date <= :now, FALSE) AS is_placed
        FROM rate_staged AS staged LEFT JOIN dated USING (code, time_profile) WHERE batch = :batch
    )
    INSERT INTO rate_planned (batch, line, old_id, ends, effective_from, price_before)
    SELECT :batch, file.line, old.id, FALSE, file.effective_from,
        CASE WHEN series.is_current THEN series.price_per_minute END
    FROM file
        LEFT JOIN stored AS old ON old.code = file.code AND old.profile = file.profile
            AND coalesce(old.effective_from, '-infinity') = coalesce(file.effective_from, '-infinity')
        LEFT JOIN series ON series.code = file.code AND series.profile = file.profile
    WHERE is_placed AND (old.id IS NULL OR {_row_of("old")} IS DISTINCT FROM {_row_of("file")})
    UNION ALL
    SELECT :batch, file.line, CASE WHEN series.is_current THEN series.id END,
        series.is_current IS TRUE, CASE WHEN series.id IS NOT NULL THEN CAST(:now AS timestamptz) END,
        CASE WHEN series.is_current THEN series.price_per_minute END
    FROM file LEFT JOIN series ON series.code = file.code AND series.profile = file.profile
    WHERE NOT is_placed AND
        (series.is_current IS NOT TRUE OR {_row_of("series")} IS DISTINCT FROM {_row_of("file")})"""  # noqa: S608

_END_ABSENT = """
    UNION ALL
    SELECT :batch, NULL, stored.id, TRUE, NULL, NULL
    FROM stored LEFT JOIN series ON series.id = stored.id
    WHERE (series.is_current OR NOT (stored.has_begun OR stored.has_ended)) AND NOT EXISTS (
        SELECT FROM file WHERE file.code = stored.code AND file.profile = stored.profile)"""

_PLANS = {Mode.UPDATE: _PLAN.format(named=_NAMED), Mode.FULL: _PLAN.format(named="") + _END_ABSENT}

_COUNTS = """
    SELECT count(line) FILTER (WHERE old_id IS NULL) AS added,
        count(line) FILTER (WHERE old_id IS NOT NULL) AS changed,
        count(*) FILTER (WHERE line IS NULL) AS ended,
        (SELECT count(*) FROM rate_staged WHERE batch = :batch) - count(line) AS unchanged
    FROM rate_planned WHERE batch = :batch"""

# A gap is between the end of a rate and the file's next rate of its code. What we sell is compared with
# the cheapest vendor's price of the same code, if it is in the same currency.
_WARNINGS = """
    WITH next AS (
        SELECT line, lead(effective_from) OVER (
            PARTITION BY code, time_profile ORDER BY effective_from NULLS FIRST) AS next_from
        FROM rate_staged WHERE batch = :batch AND code IN (
            SELECT code FROM rate_staged WHERE batch = :batch AND end_date IS NOT NULL)
    ), bought AS (
        SELECT code, min(price_per_minute) AS bought_at
        FROM rate JOIN rate_table ON rate_table.id = rate.rate_table_id
        WHERE rate_table.id IN (SELECT term_rate_table_id FROM client WHERE status = 'active')
            AND :table NOT IN (SELECT term_rate_table_id FROM client WHERE term_rate_table_id IS NOT NULL)
            AND currency = (SELECT currency FROM rate_table WHERE id = :table)
            AND until_import IS NULL AND NOT blocked AND time_profile IS NULL
            AND coalesce(effective_from <= :now, TRUE) AND coalesce(end_date > :now, TRUE)
        GROUP BY code
    )
    SELECT line, code, price_per_minute, setup_fee, price_before, end_date, next_from, bought_at,
        is_giveaway, count(*) OVER () AS warned, count(*) FILTER (WHERE is_giveaway) OVER () AS giveaways
    FROM rate_staged JOIN rate_planned USING (batch, line) LEFT JOIN next USING (line)
        LEFT JOIN bought USING (code),
        LATERAL (SELECT price_per_minute < 0 OR price_per_minute = 0 AND setup_fee = 0) AS free (is_giveaway)
    WHERE batch = :batch AND NOT blocked AND coalesce(end_date > :now, TRUE) AND (
        price_per_minute <= 0 OR setup_fee > :fee_max * abs(price_per_minute)
        OR abs(price_per_minute - price_before) * 100 > :percent * abs(price_before)
        OR next_from > end_date OR price_per_minute < bought_at)
    ORDER BY NOT is_giveaway, line LIMIT :most"""


def compare(
    connection: Connection,
    staged: Staged,
    table_id: int | None,
    table: str,
    now: datetime,
    *,
    mode: Mode = Mode.UPDATE,
    jump_percent: int = DEFAULT_JUMP_PERCENT,
) -> RatesPlan:
    """Work out what a staged file changes in a rate table, which has no id while it is new.

    A price that differs from the one in force by more than *jump_percent* is warned of.
    """
    prepare_for_many(connection)
    values: dict[str, Any] = {"batch": staged.batch, "table": table_id, "now": now}
    connection.execute(text("DELETE FROM rate_planned WHERE batch = :batch"), values)
    connection.execute(text(_PLANS[mode]), values)
    connection.execute(text("ANALYZE rate_planned"))
    counts = connection.execute(text(_COUNTS), values).one()
    limits = {"percent": jump_percent, "fee_max": _FEE_PER_PRICE_MAX, "most": _WARNINGS_MAX}
    found = connection.execute(text(_WARNINGS), values | limits).all()
    change = RatesChange(
        table,
        counts.added,
        counts.changed,
        counts.ended,
        counts.unchanged,
        warned=found[0].warned if found else 0,
        warnings=tuple(_warning(row, jump_percent) for row in found),
    )
    giveaways = tuple(_giveaway(staged.file, row) for row in found if row.is_giveaway)
    more = found[0].giveaways - len(giveaways) if found else 0
    return RatesPlan(staged, mode, now, change, giveaways, more)


def _giveaway(file: Path, row: Row[Any]) -> Fault:
    told = f"code {row.code} at {row.price_per_minute:f} a minute; if it is meant: billing apply --yes"
    return Fault(file, row.line, "price_per_minute", told)


def _warning(row: Row[Any], jump_percent: int) -> str:
    """Say what is strange about a rate: first what makes it cost nothing."""
    rate, price, before = f"line {row.line}: code {row.code}", row.price_per_minute, row.price_before
    if price == 0:
        return f"{rate} costs nothing a minute"
    if before is not None and abs(price - before) * 100 > jump_percent * abs(before):
        jump = f" ({(price - before) / abs(before):+.0%})" if before else ""
        return f"{rate} goes from {before:f} to {price:f}{jump}"
    if price < 0:
        return f"{rate} at {price:f} a minute pays whoever calls it"
    if row.bought_at is not None and price < row.bought_at:
        return f"{rate} is sold at {price:f}, but the cheapest vendor asks {row.bought_at:f}"
    if row.end_date is not None and row.next_from is not None and row.next_from > row.end_date:
        return f"{rate} has no price from {_written(row.end_date)} to {_written(row.next_from)}"
    return f"{rate} has a setup fee of {row.setup_fee:f}, more than {_FEE_PER_PRICE_MAX} minutes"


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# --- writing ----------------------------------------------------------------------------------------

_RATE_COLUMNS = ", ".join(RateRow._fields[1:])
_KEPT = ", ".join(f"rate.{name}" for name in RateRow._fields[1:] if name != "end_date")
_KEPT_NAMES = _KEPT.replace("rate.", "")
_STAGED = _RATE_COLUMNS.replace("effective_from", "planned.effective_from").replace(
    "time_profile", "nullif(time_profile, '')"
)

_TAKE_OUT = """
    UPDATE rate SET until_import = :version FROM rate_planned AS planned
    WHERE planned.batch = :batch AND rate.id = planned.old_id"""
_PUT_BACK_ENDED = f"""
    INSERT INTO rate (rate_table_id, {_KEPT_NAMES}, end_date, since_import)
    SELECT :table, {_KEPT}, :now, :version
    FROM rate JOIN rate_planned AS planned ON rate.id = planned.old_id
    WHERE planned.batch = :batch AND planned.ends"""  # noqa: S608
_PUT_IN = f"""
    INSERT INTO rate (rate_table_id, {_RATE_COLUMNS}, since_import)
    SELECT :table, {_STAGED}, :version
    FROM rate_staged AS staged JOIN rate_planned AS planned USING (batch, line)
    WHERE batch = :batch ORDER BY line"""  # noqa: S608


def write(connection: Connection, table_id: int, plan: RatesPlan, author: Author) -> int:
    """Write what was worked out as a new version of the rate table, and return its id.

    The caller has locked the row of `catalogue` since it was worked out, and counts its version up.
    """
    version = new_version(
        connection, table_id, plan.now, author, str(plan.staged.file), plan.mode, plan.change
    )
    values = {"batch": plan.staged.batch, "table": table_id, "now": plan.now, "version": version}
    for statement in (_TAKE_OUT, _PUT_BACK_ENDED, _PUT_IN):
        connection.execute(text(statement), values)
    return version
