"""What is fuzzed: each module has a function `check(octets)`, which raises when a promise is broken."""

from collections.abc import Callable
from importlib import import_module

Check = Callable[[bytes], None]

NAMES = ("wire", "attributes", "avpairs", "dialects", "times", "digest", "rates", "workbook", "settings")
"""Every target; `fuzz/corpus` has a folder for each."""


def check_of(name: str) -> Check:
    """Return the function that judges one input of the target *name*."""
    check: Check = import_module(f"fuzz.targets.{name}").check
    return check
