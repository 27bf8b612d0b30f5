"""How long `billing rates import` takes for many rates, and how much memory: a new table, then a change.

    python bench/rates_import.py [--rates 1000000] [--workbook]

Every commit is durable. Each import is a process of its own, so that its peak memory is its own.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from commands import billing
from openpyxl import Workbook

from billing_core.rate_table import RATE_FIELDS
from billing_core.storage.embedded import EmbeddedServer

COLUMNS = RATE_FIELDS[:9]


def rows(count: int, changed: float) -> Iterator[list[str]]:
    """Yield rates with prices that are always the same, but for the part *changed* of them."""
    prices, changes = random.Random(1), random.Random(2)
    for number in range(count):
        price = f"0.{prices.randint(1000, 3999)}"
        if changes.random() < changed:
            price += "1"
        yield [str(1_000_000 + number), f"Place {number % 900}", price, "0", "1", "1", "0", "", ""]


def write_csv(path: Path, count: int, changed: float) -> None:
    """Write a rates CSV."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(",".join(row) + "\n" for row in chain([COLUMNS], rows(count, changed)))


def write_workbook(path: Path, count: int, changed: float) -> None:
    """Write the same as a workbook, with numbers as numbers."""
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("rates")
    sheet.append(COLUMNS)
    for code, destination, price, *_ in rows(count, changed):
        sheet.append([int(code), destination, float(price), 0, 1, 1, 0])
    workbook.save(path)


def measure(directory: Path, *words: str) -> None:
    """Run a command, and say how long it took and how large it grew."""
    cost = billing(directory, *words)
    own = f"{cost.processor_seconds:.1f} s of its processor time, peak {cost.peak_mib:.0f} MiB"
    print(f"  {' '.join(words[:2])}: {cost.seconds:.1f} s, {own}", flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, default=1_000_000)
    parser.add_argument("--workbook", action="store_true", help="an XLSX file instead of a CSV")
    chosen = parser.parse_args()
    suffix, write = (".xlsx", write_workbook) if chosen.workbook else (".csv", write_csv)
    directory = Path(tempfile.mkdtemp(prefix="radiusd-bench-"))
    directory.chmod(0o755)  # Where root measures, PostgreSQL's user passes it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    server = EmbeddedServer(directory / "postgres")
    try:
        server.start()
        (directory / "radiusd.toml").write_text(f'[database]\nurl = "{server.url()}"\n')
        (directory / "table.toml").write_text('[[rate_table]]\nname = "all"\ncurrency = "EUR"\n')
        files = {changed: directory / f"rates-{changed}{suffix}" for changed in (0.0, 0.01)}
        for changed, path in files.items():
            write(path, chosen.rates, changed)
        measure(directory, "apply", str(directory / "table.toml"))
        print(f"{chosen.rates} new rates:")
        measure(directory, "rates", "import", "all", str(files[0.0]))
        print("1 % of them changed:")
        measure(directory, "rates", "import", "all", str(files[0.01]), "--mode", "full")
        print("nothing changed:")
        measure(directory, "rates", "import", "all", str(files[0.01]))
        print("undone:")
        measure(directory, "rates", "rollback", "all")
    finally:
        server.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
