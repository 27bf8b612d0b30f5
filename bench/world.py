"""A carrier of a given size, made afresh for a measurement: settings, definitions, rates, a daemon."""

import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECRET = b"measure-measure-measure"

_SETTINGS = """
[radius]
listen = ["127.0.0.1"]
auth_port = 0
acct_port = 0
workers = {workers}
[database]
directory = "postgres"
[http]
listen = "127.0.0.1:0"
[log]
format = "json"
[[nas]]
name = "generator"
address = "127.0.0.1"
secret = "{secret}"
dialect = "cisco"
overrun = "charge"
"""


@dataclass(frozen=True, slots=True)
class World:
    """Where the daemon listens, and who may call where."""

    directory: Path
    pid: int
    auth_port: int
    acct_port: int
    http_port: int
    accounts: list[tuple[str, str]]
    codes: list[str]


@contextmanager
def world(*, clients: int, rates: int, workers: int, settings: str = "", seed: int = 1) -> Iterator[World]:
    """Start a daemon with its own database in a temporary folder; end and remove both afterwards.

    *settings* are added to radiusd.toml.
    """
    random.seed(seed)
    directory = Path(tempfile.mkdtemp(prefix="radiusd-bench-"))
    directory.chmod(0o755)  # Where root measures, PostgreSQL's user passes it.
    codes = _codes(rates)
    accounts = [(f"account{number:06}", f"password-{number:06}") for number in range(clients)]
    _write(directory, accounts, codes, workers, settings)
    command = [str(Path(sys.executable).with_name("radiusd")), "serve", "--config", str(directory)]
    with (directory / "log").open("w") as log:
        daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert daemon.stdout is not None
            ready = daemon.stdout.readline()
            if not ready:
                raise SystemExit((directory / "log").read_text()[-2000:])
            ports = [int(word.split("/")[0]) for word in ready.split() if word[0].isdigit() and "/" in word]
            yield World(directory, daemon.pid, ports[0], ports[1], ports[2], accounts, codes)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=30)
    shutil.rmtree(directory)


def _codes(count: int) -> list[str]:
    codes = {str(number) for number in range(1, 10)}
    while len(codes) < count:
        codes.add(random.choice("123456789") + "".join(random.choices("0123456789", k=random.randint(1, 7))))
    return sorted(codes)


def _write(
    directory: Path, accounts: list[tuple[str, str]], codes: list[str], workers: int, settings: str
) -> None:
    common = _SETTINGS.format(workers=workers, secret=SECRET.decode())
    (directory / "radiusd.toml").write_text(common + settings)
    lines = ["code,price_per_minute"] + [f"{code},0.{random.randint(50, 3999):04}" for code in codes]
    (directory / "rates.csv").write_text("\n".join(lines) + "\n")
    definitions = ['[[rate_table]]\nname = "all"\ncurrency = "EUR"\nrates = "rates.csv"\n']
    definitions += [
        f'[[client]]\nname = "client {name}"\nstatus = "active"\ncurrency = "EUR"\ncredit = "1000000"\n'
        f'rate_table = "all"\ncapacity = 500\nlocale = "en"\n'
        f'[[client.account]]\nname = "{name}"\npassword = "{password}"\n'
        for name, password in accounts
    ]
    (directory / "billing.toml").write_text("\n".join(definitions))
