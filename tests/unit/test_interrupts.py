"""Ctrl-C ends either command at any time, without a traceback."""

import signal
import subprocess
import sys

import pytest

from radiusd import cli, config

INTERRUPTED_WHILE_IMPORTED = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv = ["command", "--help"]
from {package}.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("billing_core.admin", "billing_core.admin.cli"),
        ("billing_core.admin", "sqlalchemy"),
        ("radiusd", "radiusd.cli"),
        ("radiusd", "rich.console"),
    ],
)
def test_an_interrupt_while_modules_are_read_leaves_no_traceback(package: str, module: str) -> None:
    program = INTERRUPTED_WHILE_IMPORTED.format(package=package, module=module)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("command", ["serve", "check", "status"])
def test_an_interrupted_radiusd_ends_with_130(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(config, "load", interrupted)
    assert cli.main([command]) == 130
