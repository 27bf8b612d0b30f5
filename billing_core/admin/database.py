"""The database that `billing` works on, as `[database]` in radiusd.toml names it.

Other tables of that file are the daemon's; of them only two limits matter here: no credit time is longer
than the one, and no longer call is charged than the other.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field
from sqlalchemy import Engine

from billing_core.limits import Limits
from billing_core.settings import (
    Fault,
    PathBeside,
    Section,
    SettingsError,
    default,
    read,
    section,
    validate,
    written,
)
from billing_core.storage import schema
from billing_core.storage.embedded import borrow
from billing_core.storage.url import database_url

FILE_NAME = "radiusd.toml"
_EMBEDDED = "embedded"


def _url(text: str) -> str:
    return database_url(text).render_as_string(hide_password=False)


def _url_or_embedded(text: str) -> str:
    return text if text == _EMBEDDED else _url(text)


class _DatabaseSection(Section):
    url: Annotated[str, written(_url_or_embedded)] = Field(default=_EMBEDDED, repr=False)
    owner_url: Annotated[str, written(_url)] | None = Field(default=None, repr=False)
    directory: PathBeside = default("../var/postgres")


class _LimitsSection(Section):
    max_call_seconds: Annotated[int, Field(ge=1)] = Limits().max_call_seconds
    implausible_seconds: Annotated[int, Field(ge=1)] = Limits().implausible_seconds


class _File(Section):
    database: _DatabaseSection = section()
    limits: _LimitsSection = section()


@dataclass(frozen=True, slots=True)
class Database:
    """An up-to-date database; the URLs hold passwords, `owner_url` for the role that owns the tables."""

    url: str
    owner_url: str
    engine: Engine
    limits: Limits

    @property
    def max_call_seconds(self) -> int:
        """Return the longest call that is ever allowed."""
        return self.limits.max_call_seconds


@contextmanager
def opened(directory: Path) -> Iterator[Database]:
    """Use the database that *directory*/radiusd.toml names, its schema brought up to date.

    The embedded server is started for the while if no daemon runs it. Raises SettingsError,
    SchemaError (the database is newer than this program), EmbeddedServerError, or SQLAlchemy's
    OperationalError when nobody answers.
    """
    settings = _load(directory)
    if settings.database.url == _EMBEDDED:
        with (
            borrow(settings.database.directory) as server,
            _connected(server.serving_url(), server.url(), settings) as found,
        ):
            if server.moved_from:
                sys.stderr.write(f"the database of {server.moved_from} is now in {server.files.directory}\n")
            yield found
    else:
        url, owner_url = settings.database.url, settings.database.owner_url
        with _connected(url, owner_url, settings) as found:
            yield found


def _load(directory: Path) -> _File:
    """Read what concerns `billing`; radiusd judges the rest of the file."""
    if not directory.is_dir():
        raise SettingsError([Fault(directory, 0, "", "no such directory; name it with --config DIR")])
    document = read(directory / FILE_NAME)
    ours = {"database": document.data.get("database", {})}
    limits = document.data.get("limits")
    if isinstance(limits, dict):
        ours["limits"] = {key: limits[key] for key in _LimitsSection.model_fields if key in limits}
    return validate(_File, replace(document, data=ours))


@contextmanager
def _connected(url: str, owner_url: str | None, settings: _File) -> Iterator[Database]:
    schema.prepare(url, owner_url)
    engine = schema.engine(url)
    try:
        limits = Limits(settings.limits.max_call_seconds, settings.limits.implausible_seconds)
        yield Database(url, owner_url or url, engine, limits)
    finally:
        engine.dispose()
