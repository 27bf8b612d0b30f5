"""billing.toml: definitions of resellers, prices and clients, to be applied to the database.

Applying sets the fields that a file names and leaves all others alone, so each definition tells by
`fields` which were named. Whether a name that is referred to exists only the database can tell.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from billing_core.admin.definitions import definition_checks as checks
from billing_core.admin.definitions.client_definition import Client, Template
from billing_core.admin.definitions.definition import Definition, Whole, exchange_rate_name
from billing_core.admin.definitions.definition_values import (
    Capacity,
    Currency,
    ExistingFile,
    Factor,
    Instant,
    RoundingMode,
)
from billing_core.admin.definitions.watch_definition import Watch, conditions
from billing_core.admin.definitions.week_spans import read_span
from billing_core.settings import (
    Array,
    Document,
    Name,
    Section,
    default,
    read,
    validate,
    written,
)
from billing_core.time_profile import Span

_OCTETS_MAX = 200_000_000


class Reseller(Definition):
    """Who owns clients, under a `parent` or none; `capacity` bounds all of them together."""

    name: Name
    parent: Name | None = None
    capacity: Capacity | None = None


class TimeProfile(Definition):
    """A name for some spans of the week, by which rates say when they hold."""

    name: Name
    spans: Annotated[Array[Annotated[Span, written(read_span)]], Field(min_length=1)]


class ExchangeRate(Definition):
    """One unit of `currency` is `factor` units of `into`, from `effective_from` on."""

    currency: Currency
    into: Currency
    factor: Factor
    effective_from: Instant

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return exchange_rate_name(self.currency, self.into, self.effective_from)


class Rounding(Whole):
    """How the cost of a leg is rounded; see `billing_core.money.Rounding`."""

    places: Annotated[int, Field(ge=0, le=8)] = 6
    mode: RoundingMode = "half_up"


class RateTable(Definition):
    """Prices in one currency; without `rates` they are imported by command."""

    name: Name
    currency: Currency | None = None
    rates: ExistingFile | None = None
    parent: Name | None = None
    rounding: Rounding = default({})
    duration_rounding: RoundingMode = "up"


class _File(Section):
    reseller: Array[Reseller] = ()
    time_profile: Array[TimeProfile] = ()
    exchange_rate: Array[ExchangeRate] = ()
    rate_table: Array[RateTable] = ()
    template: Array[Template] = ()
    client: Array[Client] = ()
    watch: Array[Watch] = ()


@dataclass(frozen=True, slots=True)
class Definitions:
    """What a file defines; `document.line_of(("client", 3, "rate_table"))` tells where a field stands."""

    resellers: tuple[Reseller, ...]
    time_profiles: tuple[TimeProfile, ...]
    exchange_rates: tuple[ExchangeRate, ...]
    rate_tables: tuple[RateTable, ...]
    templates: tuple[Template, ...]
    clients: tuple[Client, ...]
    watches: tuple[Watch, ...]
    document: Document


_CHECKS = (
    checks.names,
    checks.unset_fields,
    checks.fields_of_templates,
    checks.panel_passwords,
    checks.exchange_rates,
    checks.concurrency,
    conditions,
    checks.account_parts,
    checks.ambiguous_accounts,
)


def load(path: Path) -> Definitions:
    """Read a definitions file; raise SettingsError with every fault."""
    found = understood(read(path, _OCTETS_MAX))
    # A fault that is found later needs the text alone, and many clients are held but once.
    return replace(found, document=replace(found.document, data={}))


def understood(document: Document) -> Definitions:
    """Return what *document* defines; raise SettingsError with every fault."""
    file = validate(_File, document, *_CHECKS)
    return Definitions(
        file.reseller,
        file.time_profile,
        file.exchange_rate,
        file.rate_table,
        file.template,
        file.client,
        file.watch,
        document,
    )
