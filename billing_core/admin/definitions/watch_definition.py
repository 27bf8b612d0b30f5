"""`[[watch]]` of a definitions file: what an account or a client may do before it is blocked."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from billing_core.admin.definitions.definition import Definition
from billing_core.admin.definitions.definition_values import MoneyNotNegative
from billing_core.settings import Array, Document, Fault, Name, different, words

CONDITIONS = ("spend_max", "short_calls_max", "failed_calls_max")
"""Of these a watch has one."""

Calls = Annotated[int, Field(ge=0, le=1_000_000)]
Names = Annotated[Array[Name], AfterValidator(different)]


class Watch(Definition):
    """Who does more within `minutes` is blocked for `block_minutes`, or until somebody lifts the block.

    It watches the clients that it names, and those with one of its tags; naming neither, it watches all.
    """

    name: Name
    per: Annotated[str, words("account", "client")] = "account"
    spend_max: MoneyNotNegative | None = None
    short_calls_max: Calls | None = None
    short_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    failed_calls_max: Calls | None = None
    minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    block_minutes: Annotated[int, Field(ge=1, le=525_600)] | None = None
    clients: Names = ()
    tags: Names = ()
    enabled: bool = True

    @property
    def fields(self) -> Mapping[str, object]:
        """Return every field: a watch is defined as a whole, so that no old condition stays."""
        return {name: getattr(self, name) for name in type(self).model_fields}


def conditions(document: Document) -> Iterator[Fault]:
    """Find watches without a condition, with several, or with the wrong parts of one."""
    for path, watch in document.tables("watch"):
        found = [key for key in CONDITIONS if key in watch]
        if not found:
            yield document.fault(path, f"watches nothing; give it one of {', '.join(CONDITIONS)}")
        for key in found[1:]:
            yield document.fault(
                (*path, key), f"stands beside {found[0]}; keep one, and define another watch for the other"
            )
        is_short = "short_calls_max" in watch
        if is_short and "short_seconds" not in watch:
            yield document.fault((*path, "short_seconds"), "missing; how many seconds make a short call?")
        if not is_short and "short_seconds" in watch:
            yield document.fault((*path, "short_seconds"), "belongs to short_calls_max; remove it")
