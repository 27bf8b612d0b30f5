"""Brings a database to this program's schema, and refuses one that is ahead of it."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from billing_core.ports import StorageDownError
from billing_core.storage.locks import is_busy
from billing_core.storage.partitions import PARTITIONED, make_partitions, partitions

MIGRATIONS = Path(__file__).parent / "migrations"

# Any constant number serves, as long as every program uses the same (ASCII "radiusd").
_MIGRATION_LOCK = 0x72616469757364


# Money is explained by rows that stay as they are: whoever serves may add to these, and no more.
_ONLY_ADDED_TO = ("entry", "xdr", "entry_reference")
_ONLY_READ = ("alembic_version", "closed_month")


class SchemaError(Exception):
    """The database has a schema that this program can't work with."""


def engine(url: str) -> Engine:
    """Return an engine for commands and migrations; a turn has its own connection."""
    settings = {"connect_timeout": 5, "options": "-c timezone=UTC", "application_name": "billing"}
    return create_engine(url, connect_args=settings)


def _nothing_else(_: Connection) -> None:
    """Accept every database as it is."""


def upgrade(url: str, accept: Callable[[Connection], None] = _nothing_else) -> str:
    """Bring the database up to date, one program at a time, and return its version.

    *accept* sees the upgraded database before anything of it is kept; what it raises leaves the old one, for
    there is no way back. It is not asked where nothing is to be upgraded. A new schema comes with the monthly
    partitions of a year; `extend` adds to them. Raises SchemaError, naming both versions, when the database
    is newer than the program, and when it can't be upgraded.
    """
    known = revisions()
    head = known[-1]
    database = engine(url)
    try:
        with database.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
            _check_encoding(connection)
            current = _current(connection)
            if current is not None and current not in known:
                raise SchemaError(
                    f"the database has schema version {current}, this program knows up to {head}: "
                    "install the newer program, or name another database"
                )
            if current != head:
                _migrate(connection)
                accept(connection)
                connection.commit()
                _make_room(connection)
    except IntegrityError as error:
        raise SchemaError(
            f"the database has rows that version {head} refuses: {error.orig}".strip()
        ) from error
    finally:
        database.dispose()
    return head


def _check_encoding(connection: Connection) -> None:
    """Refuse a database in which texts of the wire can't be kept as they came, or not as text."""
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise SchemaError(
            f"the database has the encoding {encoding}, which cannot keep every text that a switch sends: "
            "name one that was created with ENCODING 'UTF8'"
        )


def revisions() -> list[str]:
    """Return the versions that this program knows, in order: names of files of migrations begin with them."""
    return sorted(file.stem.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _current(connection: Connection) -> str | None:
    """Return the version of the database, None for one without a schema."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _migrate(connection: Connection) -> None:
    # Imported only when there is something to do: that alone takes longer than many a command.
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")


def extend(url: str) -> list[str]:
    """Make the partitions that are missing by now, and return their names; for the daemon, now and then.

    Makes none where the role does not own the tables. Raises StorageDownError.
    """
    database = engine(url)
    try:
        with database.connect() as connection:
            return _make_room(connection)
    except OperationalError as error:
        raise StorageDownError(str(error.orig).strip()) from error
    finally:
        database.dispose()


def _make_room(connection: Connection) -> list[str]:
    """Make missing partitions, unless somebody reads the default one for long: a year is left for that."""
    try:
        with connection.begin():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            connection.execute(text("SET LOCAL lock_timeout = '1s'"))
            now = connection.execute(text("SELECT now()")).scalar_one()
            return make_partitions(connection, now)
    except DBAPIError as error:
        if not is_busy(error):
            raise
        return []


def prepare(url: str, owner_url: str | None, accept: Callable[[Connection], None] = _nothing_else) -> str:
    """Bring the schema up to date as its owner, and let the role of *url* serve by it; return the version.

    *accept* is asked as by `upgrade`. With an owner of its own, the serving role can read everything and
    change all but what explains the money, to which it may only add. Raises SchemaError, and StorageDownError
    when nobody answers.
    """
    try:
        version = upgrade(owner_url or url, accept)
        role = make_url(url).username
        if owner_url is not None and role and role != make_url(owner_url).username:
            _grant(owner_url, role)
    except OperationalError as error:
        raise StorageDownError(str(error.orig).strip()) from error
    return version


def _grant(owner_url: str, role: str) -> None:
    """Give *role* the rights to serve, unless it has exactly those."""
    database = engine(owner_url)
    try:
        with database.begin() as connection:
            # Two programs that grant at once would meet in the same rows of PostgreSQL's own tables.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            names = {"role": role, "added": list(_ONLY_ADDED_TO), "read": list(_ONLY_READ)}
            if not connection.execute(text(_HAS_WRONG_RIGHTS), names).scalar_one():
                return
            quoted = connection.dialect.identifier_preparer.quote(role)
            connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {quoted}"))
            everything = f"ON ALL TABLES IN SCHEMA public TO {quoted}"
            connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE {everything}"))
            connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {quoted}"))
            for table in _ONLY_ADDED_TO:
                connection.execute(text(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {quoted}"))
            # Rows reach a partition by its table, whose rights count; by its own name it would have others.
            of_tables = [name for table in PARTITIONED for name in partitions(connection, table)]
            for table in (*_ONLY_READ, *of_tables):
                connection.execute(text(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {table} FROM {quoted}"))
    finally:
        database.dispose()


_HAS_WRONG_RIGHTS = """
    SELECT bool_or(CASE relkind
        WHEN 'S' THEN NOT has_sequence_privilege(:role, oid, 'USAGE')
        ELSE NOT has_table_privilege(:role, oid, 'SELECT')
            OR has_table_privilege(:role, oid, 'INSERT') = (relispartition OR relname = ANY(:read))
            OR has_table_privilege(:role, oid, 'UPDATE, DELETE')
                = (relispartition OR relname = ANY(:read) OR relname = ANY(:added)) END
    ) FROM pg_class WHERE relkind IN ('r', 'p', 'S') AND relnamespace = 'public'::regnamespace"""
