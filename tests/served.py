"""The whole program for a test: `radiusd serve` in a folder of its own, with the sample configuration."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from billing_core.admin.cli import main as billing

REPOSITORY = Path(__file__).parents[1]
SECRET = "radsec-local-test-only"

_PROGRAMS = Path(sys.executable).parent
_READY_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(slots=True)
class Daemon:
    """A daemon. Its folder looks like a checkout: `etc/`, `.venv/bin/` and `var/`."""

    folder: Path
    auth_port: int
    acct_port: int
    http_port: int
    ready_line: str = ""
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with (self.folder / "out").open("wb") as out, (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(_PROGRAMS / "radiusd"), "serve"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        try:
            self.ready_line = _ready_line(self.folder, self._process)
        except AssertionError:
            self._process.terminate()
            self._process.wait(_STOP_SECONDS)
            raise

    def stop(self) -> None:
        """Stop it; it must end cleanly."""
        assert self._process is not None
        self._process.terminate()
        status = self._process.wait(_STOP_SECONDS)
        said = (self.folder / "log").read_text()[-2000:]
        assert status == 0, f"radiusd ended with status {status}: {said}"

    def billing(self, *arguments: str) -> Any:
        """Return the document of `billing --json` on this daemon's database.

        It is done in this process, as if in the daemon's folder: to start another takes longer than to work.
        """
        with chdir(self.folder), redirect_stdout(StringIO()) as said:
            status = billing(["--json", *arguments])
        assert status == 0, f"billing {' '.join(arguments)} ended with status {status}"
        return json.loads(said.getvalue())

    def get(self, path: str) -> str:
        """Return what the HTTP port answers."""
        with urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def log(self) -> list[dict[str, Any]]:
        """Return the lines that the daemon has logged so far."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]


@contextmanager
def served(more_settings: str = "", more_definitions: str = "", radsec: str = "") -> Iterator[Daemon]:
    """Run the daemon on free ports of the loopback until the end of the block; it must end cleanly.

    It has the sample configuration, with what is given added to `radiusd.toml` and `billing.toml`,
    *radsec* to the section of that name.
    """
    folder = Path(tempfile.mkdtemp(prefix="radiusd-tests-"))
    folder.chmod(0o755)  # Where root tests, PostgreSQL's user passes it.
    auth_port, acct_port, http_port = _free_ports()
    try:
        shutil.copytree(REPOSITORY / "config", folder / "etc")
        (folder / ".venv").mkdir()
        (folder / ".venv" / "bin").symlink_to(_PROGRAMS)
        _set(
            folder / "etc" / "radiusd.toml",
            {
                'of IPv6.\n# listen = ["0.0.0.0", "::"]': 'of IPv6.\nlisten = ["127.0.0.1"]',
                "# auth_port = 1812": f"auth_port = {auth_port}",
                "# acct_port = 1813": f"acct_port = {acct_port}",
                '# listen = "127.0.0.1:9812"': f'listen = "127.0.0.1:{http_port}"',
            },
        )
        _set(folder / "etc" / "radiusd.toml", {"[radsec]\n": f"[radsec]\n{radsec}"})
        _add(folder / "etc" / "radiusd.toml", more_settings)
        _add(folder / "etc" / "billing.toml", more_definitions)
        daemon = Daemon(folder, auth_port, acct_port, http_port)
        daemon.start()
        try:
            yield daemon
        finally:
            daemon.stop()
    finally:
        shutil.rmtree(folder)


def program(name: str, package: str) -> str:
    """Return the path of a program that the tests need; without it they fail rather than pass unseen."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed: run apt-get install {package}, or .ci/run"
    return found


def _free_ports() -> tuple[int, int, int]:
    """Return two UDP ports and a TCP port that nobody has at the moment."""
    with ExitStack() as stack:
        kinds = (socket.SOCK_DGRAM, socket.SOCK_DGRAM, socket.SOCK_STREAM)
        opened = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for kind in kinds]
        for one in opened:
            one.bind(("127.0.0.1", 0))
        auth, acct, http = (int(one.getsockname()[1]) for one in opened)
    return auth, acct, http


def _set(file: Path, replacements: dict[str, str]) -> None:
    text = file.read_text()
    for before, after in replacements.items():
        assert text.count(before) == 1, f"{file.name} has {before!r} {text.count(before)} times"
        text = text.replace(before, after)
    file.write_text(text)


def _add(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def _ready_line(folder: Path, process: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        said = (folder / "out").read_text()
        if said.startswith("radiusd ready") and said.endswith("\n"):
            return said
        time.sleep(0.05)
    raise AssertionError(f"radiusd did not become ready: {(folder / 'log').read_text()[-2000:]}")
