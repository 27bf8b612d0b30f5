"""Daemons for tests: one that most of them share, and as many others as a test wants."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from daemon_process import Daemon, Settings, StartDaemon, define_world, start
from postgres import PostgresServer


@pytest.fixture(scope="session")
def defined_url(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database with schema and definitions, to be copied."""
    url = postgres_server.create_database()
    define_world(tmp_path_factory.mktemp("definitions"), url)
    return url


@pytest.fixture(scope="session")
def daemon(
    postgres_server: PostgresServer, defined_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """Give the daemon that tests share which only ask; it listens on every address of IPv4."""
    url = postgres_server.create_database(defined_url)
    started = start(
        tmp_path_factory.mktemp("daemon"),
        Settings(
            url,
            radius='listen = ["0.0.0.0"]',
            limits="sweep_seconds = 1\nstart_timeout_seconds = 1\nsilence_margin_seconds = 3600",
        ),
    )
    yield started
    assert started.stop() == 0
    assert started.billing.is_sound()
    postgres_server.drop_database(url)


@pytest.fixture
def fresh_url(postgres_server: PostgresServer, defined_url: str) -> Iterator[str]:
    """Give a database with the shared definitions for this test alone."""
    url = postgres_server.create_database(defined_url)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def start_daemon(fresh_url: str, tmp_path: Path) -> Iterator[StartDaemon]:
    """Give a function that starts a daemon with the settings that it is given, on a database of its own."""
    started: list[Daemon] = []

    def begin(**settings: object) -> Daemon:
        wanted = replace(Settings(fresh_url), **settings)  # type: ignore[arg-type]
        one = start(tmp_path / f"daemon-{len(started)}", wanted)
        started.append(one)
        return one

    yield begin
    for one in started:
        one.stop()
