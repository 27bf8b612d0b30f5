"""Telephone numbers as the billing compares them: the international form without its prefix."""

import re

# The prefix is matched possessively: a number that is nothing but "00" has no digits left.
_NUMBER = re.compile(r"(?:\+|00)?+([0-9*#]+)")


def normalise(text: str) -> str | None:
    """Return *text* without one leading `+` or `00`; None unless ASCII digits, `*` and `#` remain."""
    match = _NUMBER.fullmatch(text)
    return match[1] if match else None
