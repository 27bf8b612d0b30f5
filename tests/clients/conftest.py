"""One daemon for all tests against real programs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dances import definitions
from phones import free_udp_port
from served import Daemon, served

_HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def sippy_callee_port() -> int:
    """Give the port to which the daemon sends Sippy's calls."""
    return free_udp_port("127.0.0.21")


@pytest.fixture(scope="session")
def daemon(sippy_callee_port: int) -> Iterator[Daemon]:
    """Give a running daemon with the sample configuration, our switches and who calls through them."""
    switches = (_HERE / "switches.toml").read_text().replace("SIPPY_CALLEE_PORT", str(sippy_callee_port))
    customers = (_HERE / "customers.toml").read_text() + definitions()
    with served(switches, customers) as running:
        yield running
