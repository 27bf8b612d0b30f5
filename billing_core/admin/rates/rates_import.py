"""`billing rates import` and `rollback`: a new version of a rate table, all or nothing.

The file is read before anything is locked. Whoever is asked about warnings keeps nobody waiting: what
was worked out is worked out again afterwards, and written only if it is still what he agreed to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, update

from billing_core.admin.definitions.audit import Author, write_audit
from billing_core.admin.definitions.difference import Diff, RatesChange
from billing_core.admin.locks import locked_catalogue, moment
from billing_core.admin.output import CommandError
from billing_core.admin.rates.rates import found_rate_table
from billing_core.admin.rates.rates_changes import DEFAULT_JUMP_PERCENT, Mode, RatesPlan, compare, write
from billing_core.admin.rates.rates_staging import Staged, stage, time_profiles
from billing_core.admin.rates.rates_versions import Rollback, go_back, way_back
from billing_core.admin.steps import Progress, no_progress
from billing_core.storage import tables


@dataclass(frozen=True, slots=True)
class Order:
    """What to import where; `sheet` is one of a workbook, by default the first.

    Nobody is asked about the warnings of what `is_meant`.
    """

    table: str
    file: Path
    mode: Mode = Mode.UPDATE
    sheet: str | None = None
    jump_percent: int = DEFAULT_JUMP_PERCENT
    is_dry_run: bool = False
    is_meant: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What changed, and as which version; none if nothing changed or it was a dry run."""

    change: RatesChange
    version: int | None = None


def import_rates(
    connection: Connection,
    order: Order,
    author: Author,
    *,
    show: Callable[[RatesChange], None] = lambda change: None,
    agree: Callable[[RatesChange], bool] = lambda change: True,
    progress: Progress = no_progress,
) -> Done:
    """Import a rates file into a rate table, all or nothing.

    *show* is given what changes before it is written; *agree* is asked, while nothing is locked,
    whether a change with warnings is meant. Raises SettingsError with every fault of the file,
    CommandError for an unknown rate table, without agreement, or when the table changed meanwhile.
    """
    with connection.begin():
        found_rate_table(connection, order.table)
        staged = stage(
            connection,
            order.file,
            time_profiles(connection),
            sheet=order.sheet,
            progress=lambda part: progress("reading", part),
        )
    progress("comparing", None)
    if order.is_dry_run:
        with connection.begin():
            change = _compared(connection, order, staged).change
        show(change)
        return Done(change)
    done = _import(connection, order, staged, author, show, progress)
    if isinstance(done, RatesChange):
        if not agree(done):
            raise CommandError("nothing was imported; look at the warnings, and give --yes if they are meant")
        agreed = done
        done = _import(connection, order, staged, author, lambda change: None, progress, agreed)
        if isinstance(done, RatesChange):
            raise CommandError(
                f'nothing was imported: rate table "{order.table}" changed meanwhile; import again'
            )
    return done


def _import(
    connection: Connection,
    order: Order,
    staged: Staged,
    author: Author,
    show: Callable[[RatesChange], None],
    progress: Progress,
    agreed: RatesChange | None = None,
) -> Done | RatesChange:
    """Write the change and return what was done, or return the change if that needs an agreement."""
    with connection.begin() as transaction:
        catalogue_version = locked_catalogue(connection) + 1
        plan = _compared(connection, order, staged)
        show(plan.change)
        if plan.change.warned and not order.is_meant and plan.change != agreed:
            transaction.rollback()
            return plan.change
        if not plan.change:
            return Done(plan.change)
        progress("writing", None)
        table = found_rate_table(connection, order.table)
        version = write(connection, table.id, plan, author)
        _publish(connection, table.id, plan.change, catalogue_version, author, plan.now)
    return Done(plan.change, version)


def _compared(connection: Connection, order: Order, staged: Staged) -> RatesPlan:
    table = found_rate_table(connection, order.table)
    return compare(
        connection,
        staged,
        table.id,
        table.name,
        moment(connection),
        mode=order.mode,
        jump_percent=order.jump_percent,
    )


def roll_back(
    connection: Connection,
    table_name: str,
    to: int | None,
    author: Author,
    *,
    show: Callable[[Rollback], None] = lambda rollback: None,
    is_dry_run: bool = False,
) -> Done:
    """Go back to version *to* of a rate table, by default to before the newest that is not undone.

    Raises CommandError for an unknown rate table or version.
    """
    with connection.begin():
        catalogue_version = locked_catalogue(connection) + 1
        table = found_rate_table(connection, table_name)
        now = moment(connection)
        rollback = way_back(connection, table.id, table.name, to)
        show(rollback)
        if is_dry_run or not rollback.change:
            return Done(rollback.change)
        version = go_back(connection, table.id, rollback, author, now)
        _publish(connection, table.id, rollback.change, catalogue_version, author, now)
    return Done(rollback.change, version)


def _publish(
    connection: Connection,
    table_id: int,
    change: RatesChange,
    catalogue_version: int,
    author: Author,
    now: datetime,
) -> None:
    """Let workers and people know that a rate table changed."""
    changed = update(tables.rate_table).where(tables.rate_table.c.id == table_id)
    connection.execute(changed.values(changed_in=catalogue_version))
    connection.execute(update(tables.catalogue).values(version=catalogue_version))
    write_audit(connection, Diff(catalogue_version, rates=(change,)), author, now)
