"""One PostgreSQL server for a whole test run, and as many databases in it as tests ask for."""

import itertools
import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from sqlalchemy.engine import make_url

from billing_core.storage.embedded import EmbeddedServer
from billing_core.storage.partitions import PARTITIONED

# A test run need not survive a power failure; everything else is as in production.
SETTINGS_FOR_TESTS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}


class PostgresServer:
    """A running server whose databases belong to the tests."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    def create_database(self, template: str | None = None, options: str = "") -> str:
        """Create a database and return its URL: empty, or a copy of the one at the URL *template*.

        Nobody may be connected to the template meanwhile: dispose of its engines first. *options* are SQL.
        """
        name = f"test_{next(self._numbers)}"
        source = make_url(template).database if template else "template0"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}" {options}')
        return self._server.url(name)

    def drop_database(self, url: str) -> None:
        """Drop the database at *url*, ending the connections it still has."""
        self._execute(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with closing(connect(self._server.url())) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(statement)


def drop_later_months(url: str) -> None:
    """Keep of each partitioned table this month's partition and the default one, so that a copy is quick."""
    with closing(connect(url)) as connection, connection, connection.cursor() as cursor:
        for table in PARTITIONED:
            cursor.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"
                " AND inhrelid::regclass::text <> %s ORDER BY 1 OFFSET 1",
                (table, f"{table}_default"),
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TABLE {name}")


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that PostgreSQL's user passes where root tests; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="billing-tests-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server in a private folder; on leaving, stop it and remove the folder."""
    with open_folder() as folder:
        server = EmbeddedServer(folder / "database", SETTINGS_FOR_TESTS)
        try:
            server.start()
            _admit_to_every_role(server)
            yield PostgresServer(server)
        finally:
            server.stop()


def _admit_to_every_role(server: EmbeddedServer) -> None:
    """Let us be the roles that tests create, too."""
    with (server.files.data / "pg_ident.conf").open("a") as identities:
        identities.write(f'radiusd "{pwd.getpwuid(os.geteuid()).pw_name}" all\n')
    with closing(connect(server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_reload_conf()")


def connect(url: str) -> psycopg2.extensions.connection:
    """Return a psycopg2 connection to the database at the SQLAlchemy *url*."""
    parts = make_url(url)
    return psycopg2.connect(dbname=parts.database, user=parts.username, **parts.query)
