"""billing.toml: definitions of resellers, rate tables and clients, to be applied to the database.

Applying sets the fields that a file names and leaves all others alone, so each definition tells by
`fields` which were named. Whether a name that is referred to exists only the database can tell.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from billing_core.client import BillBy, Status
from billing_core.currency import CURRENCIES
from billing_core.number import normalise
from billing_core.settings import (
    Array,
    Document,
    Fault,
    KeyPath,
    Money,
    Name,
    PathBeside,
    Section,
    Text,
    Timezone,
    address,
    default,
    different,
    nearest,
    one_of,
    read,
    repeated,
    validate,
)

_OCTETS_MAX = 200_000_000
_NAME_OCTETS_MAX = 253  # What a User-Name can carry (RFC 2865 section 5).
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_LOCALE = re.compile(r"[A-Za-z]{2,3}([_-]([A-Za-z]{2}|[0-9]{3}))?")
_TECH_PREFIX = re.compile(r"[0-9*#]{0,32}")


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError(
            f'"{code}" is not a currency of ISO 4217, such as "EUR"{nearest(code.upper(), CURRENCIES)}'
        )
    return code


def _email(text: str) -> str:
    if text and not (_EMAIL.fullmatch(text) and len(text) <= 254):
        raise ValueError(f'"{text}" is not one email address in Latin letters, such as "noc@example.com"')
    return text


def _locale(text: str) -> str:
    if not _LOCALE.fullmatch(text):
        raise ValueError(f'"{text}" is not a locale, such as "en" or "en_US"')
    return text


def _account_name(text: str) -> str:
    if not 0 < len(text.encode()) <= _NAME_OCTETS_MAX:
        raise ValueError(f"must be 1 to {_NAME_OCTETS_MAX} octets, as a User-Name can carry")
    return text


def _password(text: str) -> str:
    if not 0 < len(text.encode()) <= 256:
        raise ValueError("must be 1 to 256 octets")
    return text


def _ip(text: str) -> str:
    return str(address(text))


def _ani(text: str) -> str:
    number = normalise(text)
    if number is None or len(number) > 40:
        raise ValueError(f'"{text}" is not a number; write digits only, such as "442071234567"')
    return number


def _tech_prefix(text: str) -> str:
    if not _TECH_PREFIX.fullmatch(text):
        raise ValueError(f'"{text}" is not a tech prefix; write at most 32 of the characters 0-9 * #')
    return text


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise ValueError(f"{file} is not there; paths are relative to this file")
    return file


Capacity = Annotated[int, Field(ge=0, le=2_147_483_647)]
Currency = Annotated[str, AfterValidator(_currency)]
Email = Annotated[Text, AfterValidator(_email)]


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


class RateTable(Definition):
    """Prices in one currency; without `rates` they are imported by command."""

    name: Name
    currency: Currency | None = None
    rates: Annotated[PathBeside, AfterValidator(_existing)] | None = None


class LowBalance(Definition):
    """Below `threshold` of available money only `capacity` legs may be up at once."""

    threshold: Money
    capacity: Annotated[int, Field(ge=0, le=65_535)]


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

    name: Annotated[Text, AfterValidator(_account_name)] | None = None
    password: Annotated[Text, AfterValidator(_password)] | None = default(None, repr=False)
    ip: Annotated[str, AfterValidator(_ip)] | None = None
    ani: Annotated[str, AfterValidator(_ani)] | None = None
    tech_prefix: Annotated[str, AfterValidator(_tech_prefix)] = ""
    capacity: Capacity | None = None
    orig: bool = True
    term: bool = False


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
    locale: Annotated[str, AfterValidator(_locale)] | None = None
    low_balance: LowBalance | None = None
    company: Company | None = None
    account: Array[Account] = ()


class _File(Section):
    reseller: Array[Reseller] = ()
    rate_table: Array[RateTable] = ()
    client: Array[Client] = ()


@dataclass(frozen=True, slots=True)
class Definitions:
    """What a file defines; `document.line_of(("client", 3, "rate_table"))` tells where a field stands."""

    resellers: tuple[Reseller, ...]
    rate_tables: tuple[RateTable, ...]
    clients: tuple[Client, ...]
    document: Document


def load(path: Path) -> Definitions:
    """Read a definitions file; raise SettingsError with every fault."""
    document = read(path, _OCTETS_MAX)
    file = validate(_File, document, _names, _account_parts, _ambiguous_accounts)
    return Definitions(file.reseller, file.rate_table, file.client, document)


# --- what no single value tells: values that are faulty by themselves are None here -----------------


def _names(document: Document) -> Iterator[Fault]:
    for kind in ("reseller", "rate_table", "client"):
        names = (((*path, "name"), table.get("name")) for path, table in document.tables(kind))
        for path, first in repeated(names):
            yield document.fault(path, f"is the name of the {kind} on line {document.line_of(first)} too")


def _accounts(document: Document) -> Iterator[tuple[KeyPath, dict[str, Any], dict[str, Any]]]:
    """Yield each account with its path and its client."""
    for path, client in document.tables("client"):
        for place, account in enumerate(client.get("account") or ()):
            yield (*path, "account", place), client, account


def _account_parts(document: Document) -> Iterator[Fault]:
    for path, _client, account in _accounts(document):
        if "name" in account and "password" not in account:
            yield document.fault((*path, "password"), "missing; an account with a name needs a password")
        if "password" in account and "name" not in account:
            yield document.fault((*path, "name"), "missing; a password belongs to an account with a name")
        if account.keys().isdisjoint(("name", "password", "ip", "ani")):
            yield document.fault(path, "recognises no call; give a name and password, an ip or an ani")


def _marks(account: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a call of the account is recognised by, in the form in which calls are compared."""
    if name := account.get("name"):
        yield "name", name
    if ip := account.get("ip"):
        yield "ip", _ip(ip)
    if ani := account.get("ani"):
        yield "ani", _ani(ani)


def _ambiguous_accounts(document: Document) -> Iterator[Fault]:
    """Find accounts that one call would fit equally well: who pays would be left to chance."""
    first: dict[tuple[str, str, str, str], tuple[KeyPath, str]] = {}
    for path, client, account in _accounts(document):
        prefix = account.get("tech_prefix", "")
        legs = [leg for leg, on in (("orig", True), ("term", False)) if account.get(leg, on)]
        if client.get("status") == "deleted" or prefix is None:
            continue
        for kind, value in _marks(account):
            keys = [(kind, value, prefix, leg) for leg in legs]
            label = f'account {kind} "{value}" of client "{client.get("name")}"'
            if other := next((first[key] for key in keys if key in first), None):
                yield document.fault((*path, kind), _ambiguity(document, label, *other))
            for key in keys:
                first.setdefault(key, (path, label))


def _ambiguity(document: Document, label: str, other: KeyPath, other_label: str) -> str:
    return (
        f"{label} and {other_label} (line {document.line_of(other)}) fit the same calls;"
        " give one another tech_prefix, or switch one off"
    )
