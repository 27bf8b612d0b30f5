"""A change of definitions, whoever asks for it: compared, checked, shown, written and audited in one way.

One transaction, which locks the row of `catalogue` first, so that only one program defines at a
time. Calls go on meanwhile: nothing that a turn locks is touched before the last step.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_core.admin.changes.consistency import faults
from billing_core.admin.changes.record import record
from billing_core.admin.changes.renames import rename
from billing_core.admin.collector import uncollected
from billing_core.admin.definitions.audit import Author
from billing_core.admin.definitions.definitions import Definitions
from billing_core.admin.definitions.desired import Desired, desired
from billing_core.admin.definitions.difference import Diff, RatesChange, differences
from billing_core.admin.definitions.inventory import Inventory, among, inventory
from billing_core.admin.locks import locked_catalogue, moment
from billing_core.admin.rates.rates_changes import RatesPlan, compare
from billing_core.admin.rates.rates_staging import stage
from billing_core.admin.steps import Progress, no_progress
from billing_core.settings import SettingsError
from billing_core.storage.tables import definition_file


@dataclass(frozen=True, slots=True)
class Source:
    """Definitions, and the digests of the files they come from, if they come from files.

    `rates` has an entry for each rate table with a rates file: where it is noted, and the file itself.
    `renames` are new names of clients by their old ones: in the definitions they have the new ones.
    """

    definitions: Definitions
    digests: Mapping[str, str] = field(default_factory=dict)
    rates: Mapping[str, tuple[str, Path]] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)

    def without_clients(self) -> "Source":
        """Return the source without what it says of clients."""
        return replace(self, definitions=replace(self.definitions, clients=()))


def change(
    engine: Engine,
    sources_of: Callable[[Connection], Sequence[Source]],
    author: Author,
    *,
    dry_run: bool = False,
    is_meant: bool = False,
    announce: Callable[[Diff], None] | None = None,
    progress: Progress = no_progress,
) -> Diff:
    """Make the database hold what *sources_of* says once the definitions are locked, and return what changed.

    *author* stands in the audit. *announce* is given the difference before it is written. With *dry_run*
    nothing is written. *progress* is told of every step. Raises SettingsError with every fault; unless it
    *is_meant*, a new rate by which calls cost nothing or less is one.
    """
    with uncollected(), engine.connect() as connection, connection.begin() as transaction:
        version = locked_catalogue(connection)
        now = moment(connection)
        work = _Work(connection, sources_of(connection), now, progress)
        diff = work.diff(version)
        if announce is not None:
            announce(diff)
        if dry_run:
            transaction.rollback()
        else:
            if not is_meant:
                work.refuse_giveaways()
            work.write(diff, author)
    return diff


def require_acceptable(connection: Connection, sources: Sequence[Source]) -> None:
    """Raise SettingsError with every fault for which *sources* could not be applied; write nothing."""
    with uncollected():
        work = _Work(connection, sources, moment(connection), no_progress)
        work.diff(locked_catalogue(connection))
        work.refuse_giveaways()


def known_digests(connection: Connection, sources: Sequence[Source]) -> dict[str, str]:
    """Return the digests with which the files of *sources* were last applied."""
    notes = {note for source in sources for note in source.digests}
    statement = select(definition_file.c.path, definition_file.c.digest)
    rows = connection.execute(statement.where(among(definition_file.c.path, notes)))
    return {row.path: row.digest for row in rows}


class _Work:
    """What some definitions change, compared first and written then."""

    def __init__(
        self, connection: Connection, sources: Sequence[Source], now: datetime, progress: Progress
    ) -> None:
        self._connection = connection
        self._sources = sources
        self._digests = known_digests(connection, sources)
        self._now = now
        self._progress = progress
        self._before = Inventory()
        self._after = Desired(Inventory())
        self._rates: dict[str, RatesPlan] = {}

    def diff(self, version: int) -> Diff:
        """Return what changes, compared with catalogue *version*; raise SettingsError with every fault."""
        files = [source.definitions for source in self._sources]
        renamed = [change for source in self._sources for change in rename(self._connection, source.renames)]
        self._before = inventory(
            self._connection,
            {client.name for file in files for client in file.clients},
            {table.name for file in files for table in file.rate_tables if table.currency is not None},
            {template.name for file in files for template in file.templates},
        )
        self._after = desired(self._before, files, self._progress)
        # Many clients are held but once: from here on it matters only where they were defined.
        files.clear()
        self._sources = [source.without_clients() for source in self._sources]
        self._progress("checking", None)
        if found := list(faults(self._connection, self._before, self._after)):
            raise SettingsError(sorted(found, key=lambda fault: (str(fault.file), fault.line)))
        self._rates = dict(self._plans())
        changes = differences(self._before, self._after.inventory)
        diff = Diff(version, (*renamed, *changes), tuple(self._summaries()))
        return Diff(version + 1, diff.changes, diff.rates) if diff else diff

    def _plans(self) -> Iterator[tuple[str, RatesPlan]]:
        """Yield what rates files change that are not as they were when last applied."""
        for source in self._sources:
            for table, (note, file) in source.rates.items():
                if self._digests.get(note) != source.digests[note]:
                    known = self._before.rate_tables.get(table)
                    table_id = known.id if known else None
                    staged = stage(self._connection, file, self._after.inventory.time_profiles)
                    yield table, compare(self._connection, staged, table_id, table, self._now)

    def _summaries(self) -> Iterator[RatesChange]:
        for planned in self._rates.values():
            yield planned.change

    def refuse_giveaways(self) -> None:
        """Raise SettingsError if a rates file gives calls away, which is easily a mistake."""
        plans = self._rates.values()
        if found := [fault for planned in plans for fault in planned.giveaways]:
            raise SettingsError(found, sum(planned.more_giveaways for planned in plans))

    def write(self, diff: Diff, author: Author) -> None:
        """Write what changes, and with which content the files were applied."""
        for source in self._sources:
            self._note_digests(source)
        if diff:
            before, after = self._before, self._after.inventory
            record(self._connection, before, after, self._rates, diff, author, self._now, self._progress)

    def _note_digests(self, source: Source) -> None:
        for note, digest in source.digests.items():
            if self._digests.get(note) != digest:
                values = {"digest": digest, "applied_at": self._now}
                statement = upsert(definition_file).values(path=note, **values)
                self._connection.execute(
                    statement.on_conflict_do_update(index_elements=["path"], set_=values)
                )
