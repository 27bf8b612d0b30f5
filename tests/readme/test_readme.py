"""README is true: its commands run and show what it shows, and all that it names exists."""

import ast
import csv
import json
import re
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from pydantic import BaseModel
from served import REPOSITORY, Daemon, served
from sqlalchemy.engine import URL, make_url

from billing_core.admin.command_line import SUBCOMMANDS
from billing_core.admin.definitions import client_definition, definitions
from billing_core.denial import Denial
from billing_core.storage.connection import connect
from billing_core.storage.schema import prepare
from radiusd import config
from radiusd.dialects.settings import DialectSettings
from radiusd.nas_section import NasSection
from radiusd.replies import REPLY_MESSAGES, RETURN_CODES

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CONFIG_SECTIONS: dict[str, type[BaseModel]] = {
    "radius": config.Radius,
    "database": config.Database,
    "limits": config.Limits,
    "http": config.Http,
    "log": config.Log,
    "billing": config.Billing,
    "mail": config.Mail,
    "webhook": config.Webhook,
    "nas": NasSection,
}
DEFINITION_SECTIONS: dict[str, type[BaseModel]] = {
    "reseller": definitions.Reseller,
    "rate_table": definitions.RateTable,
    "client": client_definition.Client,
    "account": client_definition.Account,
}
KEYS = {
    f"{section}.{key}"
    for section, model in (CONFIG_SECTIONS | DEFINITION_SECTIONS).items()
    for key in model.model_fields
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def named() -> set[str]:
    """Return all that README names in `code`, outside of blocks."""
    prose = re.sub(r"^```.*?^```", "", README, flags=re.M | re.S)
    return set(re.findall(r"`([^`\n]+)`", prose))


def table(header: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is *header*, without the marks of code."""
    rows = re.search(rf"^\| {header} \|.*\n\|[-|]+\n((?:\|.*\n)+)", README, re.M)
    assert rows, f"README has no table of {header}"
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]


def sources(package: str) -> Iterator[str]:
    yield from (path.read_text() for path in sorted((REPOSITORY / package).rglob("*.py")))


# --- what it shows ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with served() as running:
        yield running


def shown(text: str) -> re.Pattern[str]:
    """Return a pattern of the output that README shows: `...` is anything, and any blanks are equal."""
    words = [re.escape(word) for word in " ".join(text.split()).split("...")]
    return re.compile(".*".join(words).replace(r"\ ", " *"))


def test_every_command_runs_and_shows_what_readme_shows(daemon: Daemon) -> None:
    examples = re.findall(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", README, re.M | re.S)
    assert len(examples) == len(blocks("sh")) >= 8

    for commands, expected in examples:
        output = "".join(run(command, daemon) for command in commands.splitlines())
        if expected:
            assert shown(expected).fullmatch(" ".join(output.split())), f"{commands}\n{output}"


def run(command: str, daemon: Daemon) -> str:
    """Run a line of README in the daemon's folder; `make` itself would install and test everything again."""
    if command.startswith("make "):
        assert command.removeprefix("make ") in targets()
        ports = {daemon.auth_port: 1812, daemon.acct_port: 1813, daemon.http_port: 9812}
        line = daemon.ready_line if command == "make serve" else ""
        for port, usual in ports.items():
            line = line.replace(str(port), str(usual))
        return line
    done = subprocess.run(command, shell=True, cwd=daemon.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))


def test_health_and_metrics_are_served_where_readme_says(daemon: Daemon) -> None:
    assert daemon.get("/healthz") == "alive\n"
    assert json.loads(daemon.get("/readyz")) == {"ready": True, "reasons": []}
    assert "# TYPE billing_sessions gauge" in daemon.get("/metrics")


def test_the_log_is_one_event_a_line_with_the_names_of_readme(daemon: Daemon) -> None:
    subprocess.run(
        [".venv/bin/radiusd", "call", "--account", "1001", "--to", "390612345678"],
        cwd=daemon.folder,
        check=True,
        capture_output=True,
    )

    events = {line["event"] for line in daemon.log()}

    assert {"access_request", "accounting_request"} <= events


def test_settings_that_readme_shows_are_valid(tmp_path: Path) -> None:
    secret = tmp_path / "gw1.secret"
    secret.write_text("0123456789abcdef")
    secret.chmod(0o600)
    examples = blocks("toml")
    assert examples

    for text in examples:
        (tmp_path / config.FILE_NAME).write_text(text)
        config.load(tmp_path, strict=True)


def test_prices_that_readme_shows_are_valid(daemon: Daemon) -> None:
    (prices,) = blocks("csv")
    (daemon.folder / "prices.csv").write_text(prices)
    rows = len(list(csv.DictReader(StringIO(prices))))

    command = ["--mode", "update", "--yes", "Wholesale EUR", "prices.csv"]
    summary = daemon.billing("rates", "import", *command)

    assert summary["new"] + summary["changed"] + summary["unchanged"] == rows


def test_roles_that_readme_creates_are_enough_to_serve_and_cannot_rewrite_history(database_url: str) -> None:
    (statements,) = blocks("sql")
    renamed = statements.replace("DATABASE billing", "DATABASE billing_of_readme")
    url = make_url(database_url).set(database="billing_of_readme")
    with connect(database_url, application="test").cursor() as cursor:
        try:
            for statement in renamed.strip().split(";\n"):
                cursor.execute(statement)
            prepare(text_of(url.set(username="radiusd")), text_of(url.set(username="radiusd_owner")))
            with connect(url.set(username="radiusd"), application="test").cursor() as serving:
                privileges = "SELECT has_table_privilege('entry', %s)"
                rights = {}
                for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                    serving.execute(privileges, (right,))
                    rights[right] = serving.fetchall()[0][0]
        finally:
            cursor.execute("DROP DATABASE IF EXISTS billing_of_readme WITH (FORCE)")
            cursor.execute("DROP ROLE IF EXISTS radiusd")
            cursor.execute("DROP ROLE IF EXISTS radiusd_owner")

    assert rights == {"SELECT": True, "INSERT": True, "UPDATE": False, "DELETE": False}


def text_of(url: URL) -> str:
    return url.render_as_string(hide_password=False)


# --- what it names ----------------------------------------------------------------------------------


def test_every_metric_is_in_readme_with_its_labels_and_no_other_is() -> None:
    exported: dict[str, tuple[str, ...]] = {}
    for name, labels in metrics():
        exported[name] = labels
    told = {name: tuple(re.findall(r"[a-z]+", labels)) for name, labels, _ in table("metric")}

    assert told == exported


def metrics() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every metric that the daemon's source makes, as Prometheus sees it, with its labels."""
    for module in ("metrics", "gauges"):
        for node in ast.walk(ast.parse((REPOSITORY / "radiusd" / f"{module}.py").read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                maker = node.func.id
                texts = [item.value for item in node.args if isinstance(item, ast.Constant)]
                lists = [item for item in node.args if isinstance(item, ast.List)]
                labels = tuple(ast.literal_eval(lists[0])) if lists else ()
                if maker in ("Counter", "Histogram", "_gauge"):
                    yield str(texts[0]), labels
                elif maker == "CounterMetricFamily":
                    yield f"{texts[0]}_total", labels
                elif maker == "_amounts":
                    yield str(texts[0]), ("currency",)


def test_what_is_exported_is_what_the_source_makes(daemon: Daemon) -> None:
    exported = set(re.findall(r"^# TYPE (\w+) ", daemon.get("/metrics"), re.M))

    assert exported <= {name for name, _ in metrics()}


def test_every_metric_that_an_alert_looks_at_exists() -> None:
    rules = (REPOSITORY / "config" / "alerts.yml").read_text()
    looked_at = set(re.findall(r"\b(?:radiusd|billing)_[a-z_]+\b", rules))
    known = {name for name, _ in metrics()} | {"radiusd_reply_seconds_bucket"}

    assert looked_at
    assert looked_at <= known | events()


def events() -> set[str]:
    text = "".join(sources("radiusd"))
    logged = re.findall(r'log\.\w+\(\s*"([a-z_]+)"', text)
    return {*logged, *re.findall(r'event = "([a-z_]+)"', text)}


def test_every_event_of_the_log_that_readme_names_exists() -> None:
    (paragraph,) = re.findall(r"^\*\*The log\*\*.*?\n\n", README, re.M | re.S)
    told = set(re.findall(r"`([a-z_]+)`", paragraph))

    assert len(told) > 5
    assert told <= events()


def test_every_denial_is_in_readme_with_its_code_and_text_and_no_other_is() -> None:
    told = [(reason, int(code), text) for reason, code, text, _ in table("denial")]

    assert sorted(told) == sorted((reason, RETURN_CODES[reason], REPLY_MESSAGES[reason]) for reason in Denial)


def test_every_command_is_in_readme_and_no_other_is() -> None:
    told = {name for name, _ in table("command")}

    assert told == set(commands())


def commands() -> Iterator[str]:
    """Yield every command that the two programs know, as their sources tell it."""
    daemon = (REPOSITORY / "radiusd" / "cli.py").read_text()
    yield from (f"radiusd {name}" for name in re.findall(r'add_parser\("([a-z-]+)"', daemon))
    yield from (" ".join(["billing", *words]) for words in SUBCOMMANDS)


def test_every_key_that_readme_names_exists_and_every_setting_of_the_daemon_is_named() -> None:
    sections = "|".join(CONFIG_SECTIONS | DEFINITION_SECTIONS)
    told = {name for name in named() if re.fullmatch(rf"(?:{sections})\.[a-z_]+", name)}
    told -= {"billing.toml"}
    given_in_the_example = {"nas.name", "nas.address", "nas.secret", "nas.secret_file"}
    # In what a switch differs from its family is told in docs/switches.md.
    differing = {f"nas.{key}" for key in DialectSettings.model_fields}
    of_the_daemon = {key for key in KEYS if key.partition(".")[0] in CONFIG_SECTIONS} - differing

    assert told <= KEYS
    assert of_the_daemon <= told | given_in_the_example


def test_every_file_that_readme_names_exists() -> None:
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link}
    paths = {
        name for name in named() if re.fullmatch(r"(?:radiusd|billing_core|tests|config|docs)/[\w./]+", name)
    }
    assert links
    assert paths

    assert [path for path in sorted(links | paths) if not (REPOSITORY / path).exists()] == []


def test_every_part_of_readme_that_is_linked_exists() -> None:
    linked = set(re.findall(r"\]\(#([^)]+)\)", README))
    headings = re.findall(r"^## (.+)$", README, re.M)
    anchors = {re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert linked == anchors
