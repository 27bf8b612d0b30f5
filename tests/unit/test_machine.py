"""What a machine must have before the daemon begins, and what is said when it lacks it."""

import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from radiusd import cli, clock, machine
from radiusd.cli import main
from radiusd.config import load
from radiusd.machine import MachineError

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LIMITS = {resource.RLIMIT_NOFILE: (1024, 4096), resource.RLIMIT_FSIZE: (resource.RLIM_INFINITY,) * 2}


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """Give the limits of a machine, to be changed."""
    found = dict(LIMITS)
    monkeypatch.setattr(resource, "getrlimit", found.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", found.__setitem__)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    # The first thing that the daemon makes.
    monkeypatch.setattr("radiusd.scratch.tempfile.mkdtemp", lambda prefix: pytest.fail("the daemon began"))
    return found


def refusal(tmp_path: Path, captured: pytest.CaptureFixture[str], text: str = "") -> str:
    """Return what `radiusd serve` says before it ends, having begun nothing."""
    (tmp_path / "radiusd.toml").write_text(text, encoding="utf-8")
    assert main(["serve", "--config", str(tmp_path)]) == 1
    return captured.readouterr().err


def test_until_its_clock_is_set_the_daemon_waits_b_130(tmp_path, capsys, monkeypatch, limits):
    moments = [datetime(1970, 1, 1, 0, minute, tzinfo=UTC) for minute in (3, 4, 5)] + [NOW]
    waited = []

    def begin(_: object) -> None:
        raise MachineError(f"it begins after {len(waited)} seconds")

    monkeypatch.setattr(clock, "now", lambda: moments.pop(0))
    monkeypatch.setattr(clock, "sleep", waited.append)
    monkeypatch.setattr(cli, "tls_files", begin)

    assert refusal(tmp_path, capsys) == (
        "radiusd: the clock of this machine says 1970-01-01 00:03 UTC; set it: records and prices go by it."
        " The daemon waits until then\n"
        "radiusd: it begins after 2 seconds\n"
    )


def test_too_few_open_files_are_told_with_the_numbers_b_131(tmp_path, capsys, limits):
    limits[resource.RLIMIT_NOFILE] = (256, 1024)

    said = refusal(tmp_path, capsys, "radius.workers = 256\n")

    assert "radius.workers = 256 takes 1632 open files, and a process may have 1024 here" in said


def test_tls_connections_are_reckoned_with_b_131(tmp_path, capsys, limits):
    limits[resource.RLIMIT_NOFILE] = (256, 256)

    said = refusal(tmp_path, capsys, 'radsec = {certificate = "c", key = "k", authorities = "a"}\n')

    assert "radius.workers = 1 takes 326 open files" in said


def test_files_that_may_not_grow_are_told_with_the_numbers_b_131(tmp_path, capsys, limits):
    limits[resource.RLIMIT_FSIZE] = (1 << 20, 1 << 20)

    assert "may have 1048576 octets here, and the embedded database" in refusal(tmp_path, capsys)


def test_open_files_that_we_may_have_are_taken_b_131(tmp_path, limits):
    (tmp_path / "radiusd.toml").write_text('radius.workers = 256\ndatabase.url = "postgresql://db/x"\n')
    limits[resource.RLIMIT_FSIZE] = (1 << 20, 1 << 20)

    machine.check(load(tmp_path))

    assert limits[resource.RLIMIT_NOFILE] == (1632, 4096)
