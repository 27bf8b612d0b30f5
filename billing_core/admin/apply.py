"""Applies definitions files to the database, as `kubectl apply` does: whole, or not at all.

One transaction, which locks the row of `catalogue` first, so that only one program defines at a
time. Calls go on meanwhile: nothing that a turn locks is touched before the last step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as upsert

from billing_core.admin.audit import Author
from billing_core.admin.consistency import faults
from billing_core.admin.definitions import Definitions, load
from billing_core.admin.desired import Desired, desired
from billing_core.admin.difference import Diff, RatesChange, differences
from billing_core.admin.inventory import Inventory, among, inventory
from billing_core.admin.locks import locked_catalogue, moment
from billing_core.admin.rates_changes import RatesPlan, compare
from billing_core.admin.rates_staging import stage
from billing_core.admin.record import record
from billing_core.settings import Fault, SettingsError
from billing_core.storage.schema import engine
from billing_core.storage.tables import definition_file


@dataclass(frozen=True, slots=True)
class _Source:
    """A definitions file as read, and the digests of it and of the rates files that it names.

    `rates` has an entry for each rate table with a file: where it is noted, and the file itself.
    """

    path: Path
    definitions: Definitions
    digests: dict[str, str]
    rates: dict[str, tuple[str, Path]]


def apply_files(
    url: str,
    paths: Sequence[Path],
    who: str,
    through: str,
    *,
    only_if_changed: bool = False,
    dry_run: bool = False,
    announce: Callable[[Diff], None] | None = None,
) -> Diff:
    """Apply definitions files to the database at *url*, and return what changed.

    *who* and *through* stand in the audit. *announce* is given the difference before it is written.
    With *only_if_changed* a file counts only if it, or a rates file that it names, is not as it was when
    last applied. With *dry_run* nothing is written. Raises SettingsError with all faults of all files.
    """
    sources = _read(paths)
    database = engine(url)
    try:
        with database.connect() as connection, connection.begin() as transaction:
            version = locked_catalogue(connection)
            now = moment(connection)
            digests = _digests(connection, sources)
            if only_if_changed:
                sources = [source for source in sources if not source.digests.items() <= digests.items()]
            work = _Work(connection, sources, digests, now)
            diff = work.diff(version)
            if announce is not None:
                announce(diff)
            if dry_run:
                transaction.rollback()
            else:
                work.write(diff, Author(who, through))
    finally:
        database.dispose()
    return diff


def _read(paths: Sequence[Path]) -> list[_Source]:
    """Read all files; raise SettingsError with the faults of all."""
    sources: list[_Source] = []
    found: list[Fault] = []
    more = 0
    for path in paths:
        try:
            sources.append(_source(path.resolve()))
        except SettingsError as error:
            found += error.faults
            more += error.more
    if found:
        raise SettingsError(found, more)
    return sources


def _source(path: Path) -> _Source:
    definitions = load(path)
    rates = {
        table.name: (f"{table.rates} for rate table {table.name}", table.rates)
        for table in definitions.rate_tables
        if table.rates is not None
    }
    digests = {str(path): sha256(definitions.document.text.encode()).hexdigest()}
    try:
        digests |= {note: _digest(file) for note, file in rates.values()}
    except OSError as error:
        fault = Fault(Path(error.filename), 0, "", f"cannot be read: {error.strerror}")
        raise SettingsError([fault]) from None
    return _Source(path, definitions, digests, rates)


def _digest(file: Path) -> str:
    """Return the digest of a file that may be larger than memory."""
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _digests(connection: Connection, sources: Sequence[_Source]) -> dict[str, str]:
    """Return the digests with which files were last applied."""
    notes = {note for source in sources for note in source.digests}
    statement = select(definition_file.c.path, definition_file.c.digest)
    rows = connection.execute(statement.where(among(definition_file.c.path, notes)))
    return {row.path: row.digest for row in rows}


class _Work:
    """What some files change, compared first and written then."""

    def __init__(
        self, connection: Connection, sources: Sequence[_Source], digests: dict[str, str], now: datetime
    ) -> None:
        self._connection = connection
        self._sources = sources
        self._digests = digests
        self._now = now
        self._before = Inventory()
        self._after = Desired(Inventory())
        self._rates: dict[str, RatesPlan] = {}

    def diff(self, version: int) -> Diff:
        """Return what changes, compared with catalogue *version*; raise SettingsError with every fault."""
        files = [source.definitions for source in self._sources]
        self._before = inventory(
            self._connection,
            {client.name for file in files for client in file.clients},
            {table.name for file in files for table in file.rate_tables if table.currency is not None},
            {template.name for file in files for template in file.templates},
        )
        self._after = desired(self._before, files)
        if found := list(faults(self._connection, self._before, self._after)):
            raise SettingsError(sorted(found, key=lambda fault: (str(fault.file), fault.line)))
        self._rates = dict(self._plans())
        diff = Diff(version, differences(self._before, self._after.inventory), tuple(self._summaries()))
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

    def write(self, diff: Diff, author: Author) -> None:
        """Write what changes, and with which content the files were applied."""
        for source in self._sources:
            self._note_digests(source)
        if diff:
            record(
                self._connection, self._before, self._after.inventory, self._rates, diff, author, self._now
            )

    def _note_digests(self, source: _Source) -> None:
        for note, digest in source.digests.items():
            if self._digests.get(note) != digest:
                values = {"digest": digest, "applied_at": self._now}
                statement = upsert(definition_file).values(path=note, **values)
                self._connection.execute(
                    statement.on_conflict_do_update(index_elements=["path"], set_=values)
                )
