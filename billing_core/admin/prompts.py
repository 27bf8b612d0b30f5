"""Questions to whoever sits at a terminal; programs are never asked."""

import getpass
import sys

from billing_core.admin.output import FAILED, Output
from billing_core.visible import visible_lines


def can_ask(output: Output) -> bool:
    """Tell whether somebody sits there who can be asked."""
    return not output.is_json and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """Ask, and return the answer without spaces around it; raise EOFError when there is none to come."""
    sys.stderr.write(f"{visible_lines(question)} ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()


def agreed(question: str, output: Output) -> bool:
    """Ask for a yes; where nobody sits the answer is no."""
    if not can_ask(output):
        return False
    try:
        return ask(f"{question} [y/N]").lower() in {"y", "yes"}
    except EOFError:
        return False


def not_agreed(undone: str, cure: str, output: Output) -> int:
    """Tell that nobody agreed, and return how the command ends: no script may take it for done."""
    output.error(f"{undone}, for nobody agreed; {cure} with --yes, or only look with --dry-run")
    return FAILED


def secret(question: str, output: Output) -> str:
    """Return what is typed without being shown; from a program, the first line of standard input."""
    if can_ask(output):
        return getpass.getpass(f"{question}: ")
    return sys.stdin.readline().rstrip("\n")
