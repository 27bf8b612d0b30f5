"""What the simulation borrows, and how seeds are chosen."""

import sys
from pathlib import Path

import pytest

# The fake in memory is the contract tests'; they prove that it keeps PostgreSQL's promises.
sys.path.append(str(Path(__file__).parents[1] / "contract"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose seeds; they are known when this directory is named on the command line."""
    parser.addoption("--seed", type=int, default=None, help="simulate this seed alone")
    parser.addoption("--seeds", type=int, default=None, help="simulate so many seeds of each kind of world")
