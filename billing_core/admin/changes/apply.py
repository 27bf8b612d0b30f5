"""Applies definitions files to the database, as `kubectl apply` does: whole, or not at all."""

from collections.abc import Callable, Sequence
from hashlib import file_digest, sha256
from pathlib import Path

from sqlalchemy import Connection

from billing_core.admin.changes.changes import Source, change, known_digests, require_acceptable
from billing_core.admin.collector import uncollected
from billing_core.admin.definitions.audit import Author
from billing_core.admin.definitions.definitions import load
from billing_core.admin.definitions.difference import Diff
from billing_core.admin.steps import Progress, no_progress
from billing_core.settings import Fault, SettingsError
from billing_core.storage.schema import engine


def apply_files(
    url: str,
    paths: Sequence[Path],
    who: str,
    through: str,
    *,
    only_if_changed: bool = False,
    dry_run: bool = False,
    is_meant: bool = False,
    announce: Callable[[Diff], None] | None = None,
    progress: Progress = no_progress,
) -> Diff:
    """Apply definitions files to the database at *url*, and return what changed.

    *who* and *through* stand in the audit. *announce* is given the difference before it is written, and
    *progress* is told of every step. With *only_if_changed* a file counts only if it, or a rates file that
    it names, is not as it was when last applied. With *dry_run* nothing is written. Raises SettingsError
    with all faults of all files; unless it *is_meant*, a new rate by which calls cost nothing or less is one.
    """
    with uncollected():
        sources = _read(paths, progress)

    def wanted(connection: Connection) -> Sequence[Source]:
        found = _changed(connection, sources) if only_if_changed else [*sources]
        sources.clear()  # Many clients are held but once.
        return found

    database = engine(url)
    try:
        author = Author(who, through)
        return change(
            database,
            wanted,
            author,
            dry_run=dry_run,
            is_meant=is_meant,
            announce=announce,
            progress=progress,
        )
    finally:
        database.dispose()


def require_acceptable_files(connection: Connection, paths: Sequence[Path]) -> None:
    """Raise SettingsError with all faults of the files that changed since they were applied."""
    with uncollected():
        require_acceptable(connection, _changed(connection, _read(paths, no_progress)))


def _changed(connection: Connection, sources: Sequence[Source]) -> list[Source]:
    """Return those of *sources* of which a file is not as it was when last applied."""
    digests = known_digests(connection, sources)
    return [source for source in sources if not source.digests.items() <= digests.items()]


def _read(paths: Sequence[Path], progress: Progress) -> list[Source]:
    """Read all files; raise SettingsError with the faults of all."""
    sources: list[Source] = []
    found: list[Fault] = []
    more = 0
    for path in paths:
        progress(f"reading {path.name}", None)
        try:
            sources.append(_source(path.resolve()))
        except SettingsError as error:
            found += error.faults
            more += error.more
    if found:
        raise SettingsError(found, more)
    return sources


def _source(path: Path) -> Source:
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
    return Source(definitions, digests, rates)


def _digest(file: Path) -> str:
    """Return the digest of a file that may be larger than memory."""
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
