"""What the simulation borrows, and how one seed is chosen."""

import sys
from pathlib import Path

import pytest

# The fake in memory is the contract tests'; they prove that it keeps PostgreSQL's promises.
sys.path.append(str(Path(__file__).parents[1] / "contract"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that replays one seed; it is known when this directory is named on the command line."""
    parser.addoption("--seed", type=int, default=None, help="simulate this seed alone")
