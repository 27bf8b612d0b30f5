"""The lock files: what `make` installs is what pyproject.toml asks for, known by its hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "packaging" / "lock"
EXTRAS = {
    "serve": {"embedded"},
    "test": {"embedded", "test"},
    "clients": {"embedded", "test", "clients"},
    "fuzz": {"embedded", "test", "fuzz"},
}
HASHES = re.compile(r"( \\\n    --hash=sha256:[0-9a-f]{64})+")


def locked(name: str) -> dict[str, str]:
    """Return the version of each package that a lock file names."""
    text = (LOCK / f"{name}.txt").read_text()
    lines = HASHES.sub(" HASHED", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    assert [line for line in lines if not line.endswith(" HASHED")] == []
    found = [Requirement(line.removesuffix(" HASHED")) for line in lines]
    assert all(one.url is None and len(one.specifier) == 1 for one in found)
    return {one.name: str(one.specifier).removeprefix("==") for one in found}


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_file_holds_what_the_project_asks_for(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]
    for extra in EXTRAS[name]:
        asked += project["project"]["optional-dependencies"][extra]

    versions = locked(name)
    wrong = {
        one.name: versions.get(one.name.lower())
        for one in map(Requirement, asked)
        if not one.specifier.contains(versions.get(one.name.lower(), "0"))
    }

    assert wrong == {}, "run make lock"


def test_what_serves_is_what_is_tested() -> None:
    serving = locked("serve").items()
    assert len(serving) > len(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    assert serving <= locked("test").items()
    assert locked("test").items() <= locked("clients").items()
    assert locked("test").items() <= locked("fuzz").items()
