"""Fuzz one target for some time, or replay what is kept: python -m fuzz TARGET [--seconds N | --replay].

Guided by coverage, with atheris (`pip install '.[fuzz]'`). The end is a line of JSON: executions, branches
and findings. An input that breaks a promise ends the run with status 1, and is kept in the corpus.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from fuzz.inputs import keep_reached, keep_regression, kept
from fuzz.targets import NAMES, check_of

_OCTETS_MAX = 4096
_KEPT_OCTETS_MAX = 400
_KEPT_MAX = 100
_STATISTICS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_BRANCHES = re.compile(r" cov: (\d+) ")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60, help="how long (default 60)")
    parser.add_argument("--replay", action="store_true", help="only try what is kept")
    parser.add_argument("--keep", action="store_true", help="keep what reached new branches in the corpus")
    parser.add_argument("--engine", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.engine is not None:
        return _engine(told.target, told.engine)
    if told.replay:
        return _replay(told.target)
    if find_spec("atheris") is None:
        parser.error("atheris is not installed; run `make fuzz`, or: .venv/bin/pip install '.[fuzz]'")
    return _fuzz(told.target, told.seconds, told.keep)


def _replay(target: str) -> int:
    check = check_of(target)
    count = 0
    for _, octets in kept(target):
        check(octets)
        count += 1
    sys.stdout.write(f"{target}: {count} inputs keep every promise\n")
    return 0


def _engine(target: str, arguments: list[str]) -> int:
    """Run libFuzzer on the target, in the process that it ends as it likes."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["radiusd", "billing_core", "tomllib", "csv"]):
        check = check_of(target)
    atheris.Setup(["fuzz", *arguments], check)
    atheris.Fuzz()
    return 0


def _fuzz(target: str, seconds: int, keep: bool) -> int:
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{target}-") as name:
        folder = Path(name)
        reached, findings = folder / "reached", folder / "findings"
        for part in (reached, findings):
            part.mkdir()
        for number, (_, octets) in enumerate(kept(target)):
            (reached / str(number)).write_bytes(octets)
        began = time.monotonic()
        said = _run(target, seconds, reached, findings)
        found = sorted(findings.iterdir())
        for path in found:
            keep_regression(target, path.read_bytes(), _last_words(said))
        if keep:
            keep_reached(target, _selection([path.read_bytes() for path in reached.iterdir()]))
        executed, branches = _STATISTICS.search(said), _BRANCHES.findall(said)
        summary = {
            "target": target,
            "seconds": round(time.monotonic() - began),
            "executions": int(executed[1]) if executed else None,
            "branches": int(branches[-1]) if branches else None,
            "findings": len(found),
        }
    sys.stdout.write(json.dumps(summary) + "\n")
    if found or executed is None:
        sys.stderr.write(said[-6000:])
        return 1
    return 0


def _selection(inputs: list[bytes]) -> list[bytes]:
    """Return some of *inputs*, short ones and long ones: all of them would be too much for a repository."""
    fitting = sorted({octets for octets in inputs if len(octets) <= _KEPT_OCTETS_MAX}, key=_by_length)
    step = max(1, -(-len(fitting) // _KEPT_MAX))
    return fitting[::step]


def _by_length(octets: bytes) -> tuple[int, bytes]:
    return len(octets), octets


def _run(target: str, seconds: int, reached: Path, findings: Path) -> str:
    return _engine_process(
        target,
        f"-max_total_time={seconds}",
        f"-max_len={_OCTETS_MAX}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix={findings}/",
        str(reached),
    )


def _engine_process(target: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "fuzz", target, "--engine", *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _last_words(said: str) -> str:
    """Return what the target said last, which is the reason."""
    words = re.findall(r"^(?:[A-Za-z_.]*(?:Error|Exception)\b.*|==\d+== ERROR: .*)$", said, re.MULTILINE)
    return words[0] if words else "no reason was told"


if __name__ == "__main__":
    sys.exit(main())
