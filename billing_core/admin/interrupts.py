"""What Ctrl-C does to a command."""

import signal
from importlib import import_module

INTERRUPTED = 130
"""The exit code that shells give for a program that SIGINT ended."""


def run(module: str) -> int:
    """Run `main` of *module*; while it is imported Ctrl-C ends the command without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    command = import_module(module)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code: int = command.main()
    return code
