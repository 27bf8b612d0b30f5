"""Databases with the schema in them, and the worlds that both storages hold."""

from collections.abc import Iterator

import pytest
from postgres import PostgresServer, drop_later_months
from worlds import World, memory_world, postgres_world

from billing_core.storage.postgres import PostgresStorage
from billing_core.storage.schema import upgrade


@pytest.fixture(scope="session")
def migrated(postgres_server: PostgresServer) -> str:
    """Give the URL of a migrated database that tests copy, since copying is faster than migrating."""
    url = postgres_server.create_database()
    upgrade(url)
    drop_later_months(url)
    return url


@pytest.fixture
def migrated_url(postgres_server: PostgresServer, migrated: str) -> Iterator[str]:
    """Give the URL of a migrated database of this test's own."""
    url = postgres_server.create_database(template=migrated)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def postgres(migrated_url: str) -> Iterator[World]:
    """Give the world on PostgreSQL."""
    opened: list[PostgresStorage] = []
    yield postgres_world(migrated_url, opened)
    for storage in opened:
        storage.close()


@pytest.fixture(params=["memory", "postgres"])
def world(request: pytest.FixtureRequest) -> World:
    """Give the world on each storage in turn."""
    if request.param == "memory":
        return memory_world()
    found: World = request.getfixturevalue("postgres")
    return found
