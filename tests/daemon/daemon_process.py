"""The daemon as a process of a test: its settings, its start and end, its logs and metrics."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

from daemon_world import DEFINITIONS, NASES, OTHER_SECRET, RATES
from postgres import connect
from prometheus_client.parser import text_string_to_metric_families
from radius_switch import Switch

from billing_core.admin import cli as billing_cli

RADIUSD = Path(sys.executable).with_name("radiusd")
READY_SECONDS = 20.0
_WRITE_SECONDS = 0.05  # How long a worker keeps its log lines back.
_READY = re.compile(r"radiusd ready: authentication (\d+)/udp, accounting (\d+)/udp, http (\d+)/tcp")

Labels = Mapping[str, str]


def eventually(holds: Callable[[], object], seconds: float = 10.0) -> bool:
    """Wait until *holds*, and tell whether it ever did."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@dataclass(frozen=True, slots=True)
class Settings:
    """What a test wants in radiusd.toml; the rest is as in production."""

    url: str
    radius: str = 'listen = ["127.0.0.1"]'
    limits: str = "sweep_seconds = 1"
    nas: str = NASES
    billing: str = "apply_on_start = []"
    ports: tuple[int, int] = (0, 0)
    head: str = ""

    def text(self) -> str:
        auth_port, acct_port = self.ports
        return (
            f"{self.head}\n[radius]\nauth_port = {auth_port}\nacct_port = {acct_port}\n{self.radius}\n"
            f'[database]\nurl = "{self.url}"\n[http]\nlisten = "127.0.0.1:0"\n[log]\nformat = "json"\n'
            f"[limits]\n{self.limits}\n[billing]\n{self.billing}\n{self.nas}"
        )


def short(amount: str) -> str:
    """Return an amount without zeros at its end, which mean nothing."""
    return f"{Decimal(amount).normalize():f}"


class Billing:
    """The `billing` command on a configuration directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str) -> Any:
        """Run a command with `--json` and return its document; it must succeed."""
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, f"billing {' '.join(arguments)} ended with {code}: {out}{err}"
        return json.loads(out)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command and return its exit status and what it wrote."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = billing_cli.main(["--config", str(self.directory), *arguments])
        return code, out.getvalue(), err.getvalue()

    def apply(self, content: str, name: str = "changed.toml", *options: str) -> Any:
        """Apply definitions."""
        file = self.directory / name
        file.write_text(content, encoding="utf-8")
        return self("apply", str(file), *options)

    def client(self, name: str) -> Any:
        """Return everything about a client."""
        return self("clients", "show", name)

    def money(self, name: str) -> tuple[str, str, int]:
        """Return a client's live balance, what is reserved of it, and how many calls he has under way."""
        shown = self.client(name)
        return (
            short(shown["balance"]["live"]),
            short(shown["balance"]["reserved"]),
            shown["capacity"]["in_use"],
        )

    def xdrs(self, call: str) -> list[Any]:
        """Return the finished legs of a call."""
        return list(self("xdrs", "--call", call))

    def is_sound(self) -> bool:
        """Check every rule of the money."""
        return bool(self("verify")["ok"])


@dataclass(frozen=True, slots=True)
class Sample:
    """All counters at one moment."""

    values: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of what has these labels, whatever others it has."""
        wanted = set(labels.items())
        return sum(
            value for (found, known), value in self.values.items() if found == name and wanted <= known
        )


@dataclass(slots=True)
class Change:
    """By how much counters grew between two samples."""

    before: Sample
    after: Sample | None = None

    def by(self, name: str, **labels: str) -> float:
        assert self.after is not None, "the change is known when the block has ended"
        return self.after.sum(name, **labels) - self.before.sum(name, **labels)


@dataclass(slots=True)
class Daemon:
    """A running `radiusd serve`."""

    process: subprocess.Popen[bytes]
    directory: Path
    settings: Settings
    auth_port: int
    acct_port: int
    http_port: int
    billing: Billing
    _clients: int = field(default=0)

    @property
    def url(self) -> str:
        return self.settings.url

    def switch(self, address: str = "127.0.0.1", **options: str) -> Switch:
        """Return a softswitch at *address* that asks this daemon."""
        return Switch(self.auth_port, self.acct_port, address=address, **options)

    def other_switch(self) -> Switch:
        """Return the softswitch that has another secret than all the others."""
        return self.switch("127.0.0.8", secret=OTHER_SECRET)

    def client(self, credit: str = "10", more: str = "", account: str = "", rates: str = "Sold") -> str:
        """Define a client of this test's own and return his name, which is his account's too."""
        self._clients += 1
        name = f"client-{self._clients}"
        self.billing.apply(
            f'[[client]]\nname = "{name}"\ncurrency = "USD"\ncredit = "{credit}"\nrate_table = "{rates}"\n'
            f'{more}\n[[client.account]]\nname = "{name}"\npassword = "secret"\n{account}\n'
        )
        return name

    def get(self, path: str) -> tuple[int, str]:
        """Ask over HTTP and return status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def sample(self) -> Sample:
        """Read all metrics."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return Sample(
            {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}
        )

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Measure what a block does to the counters; they are written after the answer has gone out."""
        with self.switch() as switch:
            change = Change(self.settled_sample(switch))
            yield change
            change.after = self.settled_sample(switch)

    def settled_sample(self, switch: Switch) -> Sample:
        """Read all metrics once everything that was sent before is counted."""
        before = self.sample().sum("radiusd_requests_total", kind="status")
        switch.is_alive()
        assert eventually(lambda: self.sample().sum("radiusd_requests_total", kind="status") >= before + 2)
        return self.sample()

    def text(self) -> str:
        """Return everything that was written to stderr so far."""
        return self._stderr().read_text(encoding="utf-8")

    def lines(self, event: str | None = None, **fields: object) -> list[dict[str, Any]]:
        """Return the log lines of that event with these fields; every line must be JSON."""
        lines = [json.loads(line) for line in self.text().splitlines()]
        return [
            line
            for line in lines
            if (event is None or line["event"] == event) and fields.items() <= line.items()
        ]

    def logs(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Wait for such a line, and return all there are, also those that are written a moment later."""
        assert eventually(lambda: self.lines(event, **fields)), f"no {event} {fields} in:\n{self.text()}"
        time.sleep(3 * _WRITE_SECONDS)
        return self.lines(event, **fields)

    def workers(self) -> list[int]:
        """Return the pids of the workers that live."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        # Where the daemon has become another user, the process that keeps root's rights is a child, too.
        return [int(child) for child in children if b"radiusd.main" in _command(int(child))]

    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def configure(self, text: str) -> None:
        """Write radiusd.toml anew."""
        (self.directory / "radiusd.toml").write_text(text, encoding="utf-8")

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """End the daemon in order and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def _stderr(self) -> Path:
        return self.directory / "stderr.txt"


StartDaemon = Callable[..., Daemon]
"""Starts a daemon with these `Settings`, on a database of the test's own."""


def write_settings(directory: Path, settings: Settings) -> None:
    """Write a configuration directory."""
    directory.mkdir(parents=True, exist_ok=True)
    text = settings.text()
    tomllib.loads(text)
    (directory / "radiusd.toml").write_text(text, encoding="utf-8")
    (directory / "radiusd.toml").chmod(0o600)


def launch(directory: Path) -> subprocess.Popen[bytes]:
    """Execute `radiusd serve` without waiting for it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PROMETHEUS")}
    with (directory / "stderr.txt").open("ab") as stderr:
        return subprocess.Popen(
            [str(RADIUSD), "serve", "--config", str(directory)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
        )


def start(directory: Path, settings: Settings) -> Daemon:
    """Start a daemon and wait until it is ready."""
    write_settings(directory, settings)
    process = launch(directory)
    auth_port, acct_port, http_port = await_ready(process, directory)
    return Daemon(process, directory, settings, auth_port, acct_port, http_port, Billing(directory))


def await_ready(process: subprocess.Popen[bytes], directory: Path) -> tuple[int, int, int]:
    """Wait for the ready line and return the ports that it names."""
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    found = _READY.match(line)
    if found is None:
        process.kill()
        process.wait()
        process.stdout.close()
        stderr = (directory / "stderr.txt").read_text(encoding="utf-8")
        raise AssertionError(f"radiusd said {line!r} instead of being ready:\n{stderr}")
    auth_port, acct_port, http_port = map(int, found.groups())
    return auth_port, acct_port, http_port


def descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def no_more_descriptors(pid: int) -> Iterator[None]:
    """Let a process open nothing more."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid), before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def run_to_the_end(directory: Path, seconds: float = READY_SECONDS) -> tuple[int, str]:
    """Run a daemon that is to fail at its start; return its exit status and what it said."""
    process = launch(directory)
    try:
        out, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.wait()
    return process.returncode, out.decode() + (directory / "stderr.txt").read_text(encoding="utf-8")


def define_world(directory: Path, url: str) -> None:
    """Apply the definitions that the tests share to the database at *url*."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "radiusd.toml").write_text(f'[database]\nurl = "{url}"\n', encoding="utf-8")
    for name, content in RATES.items():
        (directory / name).write_text(content, encoding="utf-8")
    Billing(directory).apply(DEFINITIONS, "billing.toml")


def sql(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement in the database at *url* and return its rows."""
    connection = connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def is_running(pid: int) -> bool:
    """Tell whether a process lives; one that only waits to be reaped does not."""
    return state(pid) not in ("", "Z")


def state(pid: int) -> str:
    """Return the letter by which the kernel tells what a process does; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """Keep a process from running; what comes meanwhile, it finds waiting."""
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: state(pid) == "T")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def locked_balance(url: str, client: str) -> Iterator[None]:
    """Hold the lock that every turn about a client takes first."""
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM balance JOIN client ON id = client_id WHERE name = %s FOR UPDATE OF balance",
            (client,),
        )
        yield
