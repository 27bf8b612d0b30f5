"""What each concurrency policy does to parallel calls: prints the table of docs/concurrency.md.

    python bench/concurrency.py

A client with 10.00 and a price of one cent a second wants 1 to 200 calls at once, of three minutes on
average. The switch obeys the granted time and, but for the last lines, Disconnect-Requests. The real
charging runs in virtual time, the same each time: means of 20 seeds, and the worst overspend of them.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [
    str(HERE.parent),
    *(str(HERE.parent / "tests" / name) for name in ("", "contract", "simulation")),
]

from crowd import table  # noqa: E402 - found by the line above

if __name__ == "__main__":
    print("\n".join(table()))
