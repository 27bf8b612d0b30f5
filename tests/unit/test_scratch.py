"""Scratch folders: gone with their daemon, at the latest when the next one starts, and nobody else's."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from radiusd.scratch import remove_leftovers, scratch_folder

DAEMON = """
import sys
from radiusd.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "metrics").mkdir()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of temporary folders."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_killed_daemons_folder_goes_with_the_next_start_and_a_living_ones_stays() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen([sys.executable, "-c", DAEMON], text=True, **pipes) as killed,  # type: ignore[call-overload]
        subprocess.Popen([sys.executable, "-c", DAEMON], text=True, **pipes) as living,  # type: ignore[call-overload]
    ):
        left, kept = Path(killed.stdout.readline().strip()), Path(living.stdout.readline().strip())
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
        assert left.is_dir()

        with scratch_folder() as ours:
            assert ours.is_dir()
            assert not left.exists()
            assert (kept / "metrics").is_dir()
        living.stdin.close()
        living.wait(10)

    assert not ours.exists()
    assert not kept.exists()


def test_what_is_no_scratch_folder_of_ours_stays(parent: Path) -> None:
    elsewhere = parent / "elsewhere"
    (elsewhere / "owner.lock").parent.mkdir(mode=0o700)
    (elsewhere / "owner.lock").touch()
    (parent / "radiusd-link").symlink_to(elsewhere)
    for name, mode in (("open", 0o755), ("without-owner", 0o700)):
        (parent / f"radiusd-{name}").mkdir(mode=mode)
    (parent / "radiusd-open" / "owner.lock").touch()
    (parent / "radiusd-file").touch()
    linked = parent / "radiusd-linked-owner"
    linked.mkdir(mode=0o700)
    (linked / "owner.lock").symlink_to(elsewhere / "owner.lock")
    before = sorted(os.listdir(parent))

    remove_leftovers(parent)

    assert sorted(os.listdir(parent)) == before
    assert (elsewhere / "owner.lock").exists()
