"""Flags for every field of a client: the same field has the same flag wherever it is set."""

from argparse import Namespace
from collections.abc import Mapping

from billing_core.admin.command_line.arguments import Argument, argument
from billing_core.admin.definitions.client_fields import FIELDS, ClientField, Kind

SETTING = "set"
"""What begins the names under which flags that set a field are parsed."""

_SAYS: Mapping[Kind, str] = {
    Kind.TEXT: "TEXT",
    Kind.WORD: "WORD",
    Kind.REFERENCE: "NAME",
    Kind.LIST: "A,B",
    Kind.MONEY: "AMOUNT",
    Kind.COUNT: "N",
    Kind.DATE: "YYYY-MM-DD",
    Kind.FLAG: "true|false",
    Kind.SECRET: "-",
}


def setting_flags() -> tuple[Argument, ...]:
    """Return a flag for each field that sets it; an empty text says that there is none."""
    return tuple(_setting(field) for field in FIELDS.values())


def _setting(field: ClientField) -> Argument:
    ask = "; - asks for it, or reads it from standard input" if field.kind is Kind.SECRET else ""
    return argument(
        field.flag,
        dest=f"{SETTING} {field.key}",
        metavar=_SAYS[field.kind],
        help=f"{field.heading}{ask}",
    )


def given(arguments: Namespace, begin: str) -> dict[str, str]:
    """Return the texts of the flags that were given, of those whose parsed names begin with *begin*."""
    found = {name.partition(" "): text for name, text in vars(arguments).items() if text is not None}
    return {key: text for (first, _, key), text in found.items() if first == begin and key}
