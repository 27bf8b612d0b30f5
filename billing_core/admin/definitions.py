"""billing.toml: definitions of resellers, prices and clients, to be applied to the database.

Applying sets the fields that a file names and leaves all others alone, so each definition tells by
`fields` which were named. Whether a name that is referred to exists only the database can tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from billing_core.admin import definition_checks as checks
from billing_core.admin.definition_values import (
    AccountName,
    Ani,
    Capacity,
    Currency,
    Email,
    ExistingFile,
    Factor,
    Instant,
    Ip,
    Locale,
    MoneyNotNegative,
    Password,
    RoundingMode,
    TechPrefix,
)
from billing_core.admin.output import instant
from billing_core.admin.week_spans import read_span
from billing_core.client import BillBy, Policy, Status
from billing_core.settings import (
    Array,
    Document,
    Money,
    Name,
    Section,
    Text,
    Timezone,
    default,
    different,
    one_of,
    read,
    validate,
    written,
)
from billing_core.time_profile import Span

_OCTETS_MAX = 200_000_000


class Definition(Section):
    """A part of a definitions file that remembers which of its fields were named."""

    @property
    def fields(self) -> Mapping[str, object]:
        """Return the fields that the file names: these are set, all others are left alone."""
        return {key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}


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


def exchange_rate_name(currency: str, into: str, effective_from: datetime) -> str:
    """Return what an exchange rate is called, as it has no name of its own."""
    return f"{currency} into {into} from {instant(effective_from)}"


class Rounding(Definition):
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


class LowBalance(Definition):
    """Below `threshold` of available money only `capacity` legs may be up at once."""

    threshold: Money
    capacity: Annotated[int, Field(ge=0, le=65_535)]


class Concurrency(Definition):
    """A client's policy for parallel calls; see `billing_core.client.Concurrency`."""

    policy: Annotated[Policy, one_of({policy.value: policy for policy in Policy})]
    calls: Annotated[int, Field(ge=1, le=2_147_483_647)] | None = None
    seconds: Annotated[int, Field(ge=10, le=3600)] | None = None


class Company(Definition):
    """Who the client is on paper."""

    name: Text = ""
    main_email: Email = ""
    noc_email: Email = ""
    billing_email: Email = ""
    rates_email: Email = ""
    address: Text = ""
    zip: Text = ""
    tax_id: Text = ""
    reg_id: Text = ""
    account_details: Text = ""


class Account(Definition):
    """How calls of a client are recognised; see `billing_core.client.Account`."""

    name: AccountName | None = None
    password: Password | None = default(None, repr=False)
    ip: Ip | None = None
    ani: Ani | None = None
    tech_prefix: TechPrefix = ""
    capacity: Capacity | None = None
    orig: bool = True
    term: bool = False
    price_per_minute_max: Money | None = None


class Client(Definition):
    """Who owns a balance. Defaults are those of a new client, which must name its currency."""

    name: Name
    status: Annotated[Status, one_of({status.value: status for status in Status})] = default("active")
    currency: Currency | None = None
    timezone: Timezone = "UTC"
    reseller: Name | None = None
    tags: Annotated[Array[Name], AfterValidator(different)] = ()
    bill_by: Annotated[BillBy, one_of({moment.value: moment for moment in BillBy})] = default("disconnect")
    postpaid: bool = False
    credit: Money = default(0)
    rate_table: Name | None = None
    capacity: Capacity | None = None
    term_rate_table: Name | None = None
    term_capacity: Capacity | None = None
    locale: Locale | None = None
    low_balance: LowBalance | None = None
    concurrency: Concurrency = default({"policy": "full"})
    charge_max: MoneyNotNegative | None = None
    refuse_losses: bool = False
    company: Company | None = None
    account: Array[Account] = ()


class _File(Section):
    reseller: Array[Reseller] = ()
    time_profile: Array[TimeProfile] = ()
    exchange_rate: Array[ExchangeRate] = ()
    rate_table: Array[RateTable] = ()
    client: Array[Client] = ()


@dataclass(frozen=True, slots=True)
class Definitions:
    """What a file defines; `document.line_of(("client", 3, "rate_table"))` tells where a field stands."""

    resellers: tuple[Reseller, ...]
    time_profiles: tuple[TimeProfile, ...]
    exchange_rates: tuple[ExchangeRate, ...]
    rate_tables: tuple[RateTable, ...]
    clients: tuple[Client, ...]
    document: Document


_CHECKS = (
    checks.names,
    checks.exchange_rates,
    checks.concurrency,
    checks.account_parts,
    checks.ambiguous_accounts,
)


def load(path: Path) -> Definitions:
    """Read a definitions file; raise SettingsError with every fault."""
    document = read(path, _OCTETS_MAX)
    file = validate(_File, document, *_CHECKS)
    return Definitions(
        file.reseller, file.time_profile, file.exchange_rate, file.rate_table, file.client, document
    )
