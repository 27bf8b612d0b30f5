"""Brings a database to this program's schema, and refuses one that is ahead of it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from billing_core.ports import StorageDownError

# Any constant number serves, as long as every program uses the same (ASCII "radiusd").
_MIGRATION_LOCK = 0x72616469757364


# Money is explained by rows that stay as they are: whoever serves may add to these, and no more.
_ONLY_ADDED_TO = ("entry", "xdr")


class SchemaError(Exception):
    """The database has a schema that this program can't work with."""


def engine(url: str) -> Engine:
    """Return an engine for commands and migrations; a turn has its own connection."""
    settings = {"connect_timeout": 5, "options": "-c timezone=UTC", "application_name": "billing"}
    return create_engine(url, connect_args=settings)


def upgrade(url: str) -> str:
    """Bring the database up to date, one program at a time, and return its version.

    Raises SchemaError, naming both versions, when the database is newer than the program.
    """
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(configuration)
    head = scripts.get_current_head()
    assert head is not None
    database = engine(url)
    try:
        with database.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
            current = MigrationContext.configure(connection).get_current_revision()
            known = {script.revision for script in scripts.walk_revisions()}
            if current is not None and current not in known:
                raise SchemaError(
                    f"the database has schema version {current}, this program knows up to {head}: "
                    "install the newer program, or name another database"
                )
            if current != head:
                configuration.attributes["connection"] = connection
                command.upgrade(configuration, "head")
                connection.commit()
    finally:
        database.dispose()
    return head


def prepare(url: str, owner_url: str | None) -> str:
    """Bring the schema up to date as its owner, and let the role of *url* serve by it; return the version.

    With an owner of its own, the serving role can read everything and change all but the entries and
    xDRs, to which it may only add. Raises SchemaError, and StorageDownError when nobody answers.
    """
    try:
        version = upgrade(owner_url or url)
        role = make_url(url).username
        if owner_url is not None and role and role != make_url(owner_url).username:
            _grant(owner_url, role)
    except OperationalError as error:
        raise StorageDownError(str(error.orig).strip()) from error
    return version


def _grant(owner_url: str, role: str) -> None:
    database = engine(owner_url)
    try:
        with database.begin() as connection:
            quoted = connection.dialect.identifier_preparer.quote(role)
            connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {quoted}"))
            everything = f"ON ALL TABLES IN SCHEMA public TO {quoted}"
            connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE {everything}"))
            for table in (*_ONLY_ADDED_TO, "alembic_version"):
                connection.execute(text(f"REVOKE UPDATE, DELETE ON {table} FROM {quoted}"))
    finally:
        database.dispose()
