"""The rules of the repository, kept by a test rather than by memory."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_core.admin.definitions import definitions
from billing_core.denial import Denial
from radiusd import config, nas, replies
from radiusd.dialects import DIALECTS

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LINES_MAX = 400

# Longer than the rule allows, each for the reason that is named.
LONG: dict[str, str] = {}

# What has no place in a public repository: where we work, and how. Written so that this file passes too.
FORBIDDEN = {
    "a tracker's number": r"\bissues? \x23\d*",
    "a path of one machine": r"(?<![\w.])/(?:w[o]rk|r[o]ot|h[o]me|f[a]rm)/|/tmp/d[e]v\b",
    "a folder beside the checkout": r"\.\./shared\b",
    "the place where it was made": r"\bwork[p]lace\b",
}


def files() -> list[str]:
    """Return the files of the project: those that git has or would take."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.fail(f"git cannot list the files of the project: {listed.stderr}")
    return [name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file()]


def modules() -> Iterator[tuple[str, str]]:
    """Yield path and source of every module of the two packages."""
    for package in ("radiusd", "billing_core"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            yield str(path.relative_to(REPOSITORY)), path.read_text(encoding="utf-8")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_speaks_of(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.IGNORECASE)

    found = [
        f"{name}:{number}: {line.strip()}"
        for name in files()
        for number, line in enumerate((REPOSITORY / name).read_text("utf-8", "replace").splitlines(), 1)
        if pattern.search(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "see issue \x234",
        "/wo" + "rk/x.py",
        "cd /root" + "/x",
        "../" + "shared/a.md",
        "the work" + "place",
    ],
)
def test_what_is_forbidden_is_recognised(text: str) -> None:
    assert any(re.search(pattern, text, re.IGNORECASE) for pattern in FORBIDDEN.values())


def test_every_module_can_be_read_in_one_sitting() -> None:
    long = {name for name, source in modules() if source.count("\n") > LINES_MAX}

    assert long == set(LONG)


def test_every_module_says_what_it_is() -> None:
    assert [name for name, source in modules() if not ast.get_docstring(ast.parse(source))] == []


def test_statements_of_sql_stand_where_the_database_is_spoken_to() -> None:
    statement = re.compile(r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM) ", re.MULTILINE)
    at_home = ("billing_core/storage/", "billing_core/admin/", "radiusd/trial.py")

    strays = [name for name, source in modules() if statement.search(source) and not name.startswith(at_home)]

    assert strays == []


def test_only_the_clock_and_the_database_tell_the_time() -> None:
    reading = re.compile(r"\bdatetime\.(?:now|today|utcnow)\(|\bdate\.today\(")

    assert [name for name, source in modules() if reading.search(source)] == ["radiusd/clock.py"]


def test_every_pure_module_is_under_the_contract_of_purity() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (pure,) = (set(contract["source_modules"]) for contract in contracts if "is pure" in contract["name"])
    core = {
        f"billing_core.{path.stem}"
        for path in (REPOSITORY / "billing_core").iterdir()
        if path.suffix == ".py" and path.stem != "__init__"
    }

    assert pure == core - {"billing_core.settings", "billing_core.rates_file"}


def test_every_denial_has_a_code_and_a_text_on_the_wire() -> None:
    assert replies.RETURN_CODES.keys() == replies.REPLY_MESSAGES.keys() == set(Denial)


def test_the_dialects_that_settings_may_name_are_those_that_exist() -> None:
    assert set(nas.DIALECTS) == set(DIALECTS)


def test_everything_in_config_can_be_loaded() -> None:
    directory = REPOSITORY / "config"

    settings = config.load(directory)
    loaded = [definitions.load(file) for file in settings.billing.apply_on_start]

    assert {path.name for path in directory.glob("*.toml")} == {
        config.FILE_NAME,
        *(file.name for file in settings.billing.apply_on_start),
    }
    assert all(found.clients for found in loaded)


def test_the_targets_that_people_are_told_of_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))

    assert {"serve", "test", "test-clients", "lint"} <= targets


def test_the_pipeline_can_be_executed_and_calls_only_targets_that_exist() -> None:
    pipeline = REPOSITORY / ".ci" / "run"
    makefile = (REPOSITORY / "Makefile").read_text()

    called = re.findall(r"step make ([a-z-]+)", pipeline.read_text())

    assert pipeline.stat().st_mode & 0o111 == 0o111
    assert called == ["lint", "test", "test-clients", "lint"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in called)


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    versions = re.findall(
        r"^## \[(\d[^]]*)\] - \d{4}-\d{2}-\d{2}$", (REPOSITORY / "CHANGELOG.md").read_text(), re.M
    )

    assert versions[0] == PROJECT["project"]["version"]
