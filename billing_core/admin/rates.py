"""Rates of a table: imported from a CSV file, all or nothing, and looked up for a number.

Rates are compared in memory first (`plan`), so that only what differs is written.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from billing_core.admin import bulk
from billing_core.admin.audit import Author, write_audit
from billing_core.admin.difference import Diff, RatesChange
from billing_core.admin.inventory import among
from billing_core.admin.output import CommandError, Record
from billing_core.number import normalise
from billing_core.rate_table import Rate, RateTable, rate_table
from billing_core.rates_file import RateRow, read_rates
from billing_core.settings import nearest
from billing_core.storage import tables

RATE_FIELDS = (
    "code",
    "destination",
    "price_per_minute",
    "setup_fee",
    "min_volume_seconds",
    "interval_seconds",
    "grace_seconds",
    "effective_from",
    "end_date",
)


class Mode(StrEnum):
    """UPDATE changes what the file names and adds what is new; FULL also ends codes that it does not name."""

    UPDATE = "update"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class StoredRate:
    """A rate with its id in the database."""

    id: int
    rate: Rate


@dataclass(frozen=True, slots=True)
class RatesPlan:
    """What an import writes: rates to add, to put in place of others by id, and ids of those that end now."""

    new: tuple[Rate, ...] = ()
    replaced: tuple[StoredRate, ...] = ()
    ended_ids: tuple[int, ...] = ()
    added: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0

    def summary(self, table: str) -> RatesChange:
        """Return the counts for people."""
        return RatesChange(table, self.added, self.changed, self.ended, self.unchanged)


def plan(stored: Iterable[StoredRate], rows: Sequence[RateRow], mode: Mode, now: datetime) -> RatesPlan:
    """Return how *rows* change the *stored* rates of a table.

    A row with a date is the rate of that code from that date. A row without one reaches back to the
    start when the code is new, or when the file also gives the code a dated row; else it holds from
    now on, and the current rate ends.
    """
    planner = _Planner(stored, now)
    dated = {row.code for row in rows if row.effective_from is not None}
    for row in rows:
        is_history = row.end_date is not None and row.end_date <= now
        if row.effective_from is not None or row.code in dated or is_history:
            planner.place(_rate(row))
        else:
            planner.hold_from_now(_rate(row))
    if mode is Mode.FULL:
        planner.end_all_but({row.code for row in rows})
    return planner.plan()


def _rate(row: RateRow) -> Rate:
    return Rate(*(getattr(row, name) for name in RATE_FIELDS))


class _Planner:
    def __init__(self, stored: Iterable[StoredRate], now: datetime) -> None:
        self._now = now
        self._stored: dict[str, list[StoredRate]] = {}
        for item in stored:
            self._stored.setdefault(item.rate.code, []).append(item)
        self._new: list[Rate] = []
        self._replaced: list[StoredRate] = []
        self._ended_ids: list[int] = []
        self._added = self._changed = self._ended = self._unchanged = 0

    def plan(self) -> RatesPlan:
        return RatesPlan(
            tuple(self._new),
            tuple(self._replaced),
            tuple(self._ended_ids),
            self._added,
            self._changed,
            self._ended,
            self._unchanged,
        )

    def place(self, rate: Rate) -> None:
        """Let *rate* be the one of its code from its own date on."""
        versions = self._stored.get(rate.code, ())
        same = next((item for item in versions if item.rate.effective_from == rate.effective_from), None)
        if same is None:
            self._add(rate)
        elif same.rate == rate:
            self._unchanged += 1
        else:
            self._replaced.append(StoredRate(same.id, rate))
            self._changed += 1

    def hold_from_now(self, rate: Rate) -> None:
        """Let *rate* be the one of its code from now on, unless it is already."""
        versions = self._stored.get(rate.code)
        if versions is None:
            self._add(rate)
            return
        current = self._current(versions)
        if current is None:
            self._add(replace(rate, effective_from=self._now))
        elif _terms(current.rate) == _terms(rate):
            self._unchanged += 1
        else:
            self._ended_ids.append(current.id)
            self._new.append(replace(rate, effective_from=self._now))
            self._changed += 1

    def end_all_but(self, codes: set[str]) -> None:
        """End now the rate of each code that is not among *codes*, and those that were still to come."""
        for versions in (found for code, found in self._stored.items() if code not in codes):
            current = self._current(versions)
            for item in versions:
                is_to_come = not item.rate.has_begun(self._now) and not item.rate.has_ended(self._now)
                if item is current or is_to_come:
                    self._ended_ids.append(item.id)
                    self._ended += 1

    def _add(self, rate: Rate) -> None:
        self._new.append(rate)
        self._added += 1

    def _current(self, versions: list[StoredRate]) -> StoredRate | None:
        """Return the rate in force: the last that has begun, unless it has ended."""
        begun = [item for item in versions if item.rate.has_begun(self._now)]
        newest = max(begun, key=lambda item: _timestamp(item.rate.effective_from), default=None)
        return None if newest is None or newest.rate.has_ended(self._now) else newest


# Everything that a rate says but since when.
_terms = attrgetter(*(name for name in RATE_FIELDS if name != "effective_from"))


def _timestamp(moment: datetime | None) -> float:
    return moment.timestamp() if moment else float("-inf")


# --- in the database --------------------------------------------------------------------------------


def read_plan(
    connection: Connection, table_id: int | None, file: Path, mode: Mode, now: datetime
) -> RatesPlan:
    """Compare a CSV file with a rate table, which may be new; raise SettingsError with every fault."""
    rows = list(read_rates(file))
    return plan(_stored(connection, table_id) if table_id is not None else (), rows, mode, now)


def _stored(connection: Connection, table_id: int) -> Iterator[StoredRate]:
    columns = [tables.rate.c[name] for name in ("id", *RATE_FIELDS)]
    in_force = tables.rate.c.until_import.is_(None)
    for row in connection.execute(select(*columns).where(tables.rate.c.rate_table_id == table_id, in_force)):
        yield StoredRate(row[0], Rate(*row[1:]))


def write_plan(connection: Connection, table_id: int, planned: RatesPlan, now: datetime) -> None:
    """Write what was planned; the caller counts the catalogue's version up."""
    rate = tables.rate
    if planned.ended_ids:
        ended = update(rate).where(among(rate.c.id, planned.ended_ids)).values(end_date=now)
        connection.execute(ended)
    bulk.update(connection, rate, [{"id": item.id, **_columns(item.rate)} for item in planned.replaced])
    bulk.insert(connection, rate, [{"rate_table_id": table_id, **_columns(item)} for item in planned.new])


def _columns(rate: Rate) -> dict[str, Any]:
    return {name: getattr(rate, name) for name in RATE_FIELDS}


def import_rates(
    connection: Connection, table_name: str, file: Path, mode: Mode, author: Author
) -> RatesChange:
    """Import a CSV file into a rate table in one transaction, all or nothing.

    Raises SettingsError with every fault of the file, CommandError for an unknown rate table.
    """
    version = connection.execute(select(tables.catalogue.c.version).with_for_update()).scalar_one() + 1
    now = connection.execute(select(func.now())).scalar_one()
    table = found_rate_table(connection, table_name)
    planned = read_plan(connection, table.id, file, mode, now)
    summary = planned.summary(table.name)
    if summary:
        write_plan(connection, table.id, planned, now)
        changed = update(tables.rate_table).where(tables.rate_table.c.id == table.id)
        connection.execute(changed.values(changed_in=version))
        connection.execute(update(tables.catalogue).values(version=version))
        write_audit(connection, Diff(version, rates=(summary,)), author, now)
    return summary


def unknown_rate_table(connection: Connection, name: str) -> CommandError:
    """Return the error that there is no rate table *name*, with the name that was probably meant."""
    names = connection.execute(select(tables.rate_table.c.name)).scalars()
    return CommandError(f'rate table "{name}" is not known{nearest(name, names)}')


def found_rate_table(connection: Connection, name: str) -> Row[Any]:
    """Return the row of a rate table; raise CommandError if there is none."""
    row = connection.execute(select(tables.rate_table).where(tables.rate_table.c.name == name)).first()
    if row is None:
        raise unknown_rate_table(connection, name)
    return row


def rates_for(connection: Connection, row: Row[Any], numbers: Collection[str]) -> RateTable:
    """Return the rate table of *row* with only those rates that *numbers* can meet."""
    codes = {number[:length] for number in numbers for length in range(1, len(number) + 1)}
    rate = tables.rate
    columns = [rate.c[name] for name in RATE_FIELDS]
    in_force = rate.c.until_import.is_(None)
    statement = select(*columns).where(rate.c.rate_table_id == row.id, in_force, among(rate.c.code, codes))
    rates = [Rate(*values) for values in connection.execute(statement)]
    return rate_table(row.id, row.name, row.currency, rates)


def lookup(connection: Connection, table_name: str, dialled: str, at: datetime | None) -> Record:
    """Return the rate of a number at *at*, by default now; raise CommandError where there is none."""
    number = normalise(dialled)
    if number is None:
        raise CommandError(f'NUMBER "{dialled}" is not a number; write digits, such as 442071234567')
    table = found_rate_table(connection, table_name)
    moment = at or connection.execute(select(func.now())).scalar_one()
    rate = rates_for(connection, table, [number]).find(number, moment)
    if rate is None:
        raise CommandError(
            f'rate table "{table_name}" has no rate for {number} at {moment:%Y-%m-%dT%H:%M:%SZ}'
        )
    return {"rate_table": table.name, "currency": table.currency, "number": number, **_columns(rate)}
