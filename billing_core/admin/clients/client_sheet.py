"""All of one client for people: his money, then his fields under the headings of the form."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from billing_core.admin.clients.client_list import UNLIMITED
from billing_core.admin.definitions.client_fields import FIELDS
from billing_core.admin.output import Record, readable

ACCOUNT_COLUMNS = (
    "id",
    "name",
    "ip",
    "ani",
    "tech_prefix",
    "capacity",
    "orig",
    "term",
    "price_per_minute_max",
)

_Row = tuple[object, ...]

_LEGS = {"in use": "capacity", "term in use": "term_capacity"}


def sheet(client: Record) -> Iterator[tuple[str, list[_Row]]]:
    """Yield headings with rows: what, its value, and where the value comes from if that was asked for."""
    chain = " < ".join(map(readable, client["resellers"]))
    yield "Client", [*((key, client[key]) for key in ("id", "name", "role", "version")), ("resellers", chain)]
    money = dict(client["balance"])
    if money["available"] is None:
        money["available"] = UNLIMITED
    yield "Balance", [*money.items(), *((key, client[legs]["in_use"]) for key, legs in _LEGS.items())]
    for heading, fields in groupby(FIELDS.values(), key=lambda field: field.heading):
        yield heading, [_row(client, field.key) for field in fields]


def _row(client: Record, key: str) -> _Row:
    label = key.replace(".", " ").replace("_", " ")
    origin = client.get("origin")
    return (label, _value(client, key), origin[key]) if origin else (label, _value(client, key))


def _value(client: Record, key: str) -> Any:
    section, _, part = key.partition(".")
    if key in ("capacity", "term_capacity"):
        part = "limit"
    return client[section][part] if part else client[section]
