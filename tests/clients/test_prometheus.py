"""Prometheus' own checker reads our metrics and our alert rules."""

import re
import subprocess

from served import REPOSITORY, Daemon, program

RULES = REPOSITORY / "config" / "alerts.yml"
RULES_AT_WORK = REPOSITORY / "tests" / "clients" / "alerts_at_work.yml"


def promtool(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [program("promtool", "prometheus"), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def test_metrics_are_as_prometheus_wants_them(daemon: Daemon) -> None:
    call = [".venv/bin/radiusd", "call", "--account", "1001", "--to", "390612345678"]
    subprocess.run(call, cwd=daemon.folder, check=True, capture_output=True)

    checked = promtool("check", "metrics", stdin=daemon.get("/metrics"))

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_alert_rules_are_well_formed() -> None:
    checked = promtool("check", "rules", str(RULES))

    assert checked.returncode == 0, checked.stderr
    assert "SUCCESS" in checked.stdout


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    checked = promtool("test", "rules", str(RULES_AT_WORK))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_shown_at_work() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    at_work = re.findall(r"alertname(?:: |=\")(\w+)", RULES_AT_WORK.read_text())

    assert set(alerts) == set(at_work)
