"""One daemon for all tests against real programs."""

from collections.abc import Iterator

import pytest
from served import Daemon, served


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """Give a running daemon with the sample configuration."""
    with served() as running:
        yield running
