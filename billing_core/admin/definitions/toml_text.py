"""Definitions as TOML, a table at a time: a file of any size is written without holding it.

Parts of sections are written with points, as `company.name = "A Ltd"`, so that one line is one field.
"""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from billing_core.admin.output import json_value

_DELETE = "\x7f"


def written_table(name: str, fields: Mapping[str, object]) -> str:
    """Write an element of the array of tables *name*; keys are bare or dotted ones, and None is no key."""
    lines = [f"{key} = {written_value(value)}\n" for key, value in fields.items() if value is not None]
    return f"[[{name}]]\n{''.join(lines)}"


def written_value(value: object) -> str:
    """Write one value; amounts are texts, since TOML knows only inexact numbers with a point."""
    match value:
        case list():
            return f"[{', '.join(map(written_value, value))}]"
        case date():
            return json_value(value)
        case Decimal():
            return f'"{json_value(value)}"'
        case str():
            # What JSON escapes, TOML escapes alike; but it has an opinion on one character more.
            return json.dumps(value, ensure_ascii=False).replace(_DELETE, "\\u007f")
    return json.dumps(value)


def comment(text: str) -> str:
    """Write lines of comment."""
    return "".join(f"# {line}\n" for line in text.splitlines())
