"""The `billing` command in a configuration directory and a database of each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from billing_command import Billing
from postgres import PostgresServer, drop_later_months

from billing_core.storage import schema


@pytest.fixture(scope="session")
def template_url(postgres_server: PostgresServer) -> str:
    """Give a database with the schema and nothing else, to be copied."""
    url = postgres_server.create_database()
    schema.upgrade(url)
    drop_later_months(url)
    return url


@pytest.fixture
def billing(
    postgres_server: PostgresServer,
    template_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Billing]:
    """Give the command with an empty database."""
    url = postgres_server.create_database(template_url)
    (tmp_path / "radiusd.toml").write_text(f'[database]\nurl = "{url}"\n', encoding="utf-8")
    engine = schema.engine(url)
    yield Billing(tmp_path, url, engine, capsys)
    engine.dispose()
    postgres_server.drop_database(url)
