"""Every field of a client in one table: where it is kept, what kind of value it is, where it belongs.

Lists, searches, exports, flags of commands, templates and the audit's undo are all made from it. A field
is called as in a definitions file, with a point before the parts of a section. What a definition may say
of it stands in `client_definition`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from billing_core.money import plain

COMPANY = "company."


class Kind(StrEnum):
    """What kind of value a field has: it decides how it is written, read and compared."""

    TEXT = "text"
    WORD = "word"
    REFERENCE = "reference"
    LIST = "list"
    MONEY = "money"
    COUNT = "count"
    DATE = "date"
    FLAG = "flag"
    SECRET = "secret"


@dataclass(frozen=True, slots=True)
class ClientField:
    """A field by its `key`, under the heading of the client's form that it belongs to.

    `column` is that of table `client`; parts of `company` are keys of the column of this name, and a
    reference's column has the id of what is named.
    """

    key: str
    kind: Kind
    heading: str
    column: str

    @property
    def in_company(self) -> bool:
        """Tell whether it is kept in the column `company`."""
        return self.key.startswith(COMPANY)

    @property
    def flag(self) -> str:
        """Return the flag that stands for it on a command line."""
        return flag(self.key)


def flag(key: str) -> str:
    """Return the flag that stands for a field on a command line."""
    return "--" + key.replace(".", "-").replace("_", "-")


_GENERAL, _PANEL, _ORIG, _TERM = (
    "General Settings",
    "Client Panel",
    "Originator Settings",
    "Terminator Settings",
)
_LOW, _INVOICES, _RATES = "Low Balance Notifications", "Autoinvoicing", "Rate Notification"
_PAYMENT, _COMPANY = "Auto Payment", "Company Info"

# Key, kind, heading, and the column where it is not called as the key is.
_TABLE: tuple[tuple[str, Kind, str, str | None], ...] = (
    ("reseller", Kind.REFERENCE, _GENERAL, "reseller_id"),
    ("currency", Kind.WORD, _GENERAL, None),
    ("timezone", Kind.TEXT, _GENERAL, None),
    ("status", Kind.WORD, _GENERAL, None),
    ("template", Kind.REFERENCE, _GENERAL, "template_id"),
    ("tags", Kind.LIST, _GENERAL, None),
    ("tax_profile", Kind.TEXT, _GENERAL, None),
    ("bill_by", Kind.WORD, _PANEL, None),
    ("hidden_numbers", Kind.FLAG, _PANEL, None),
    ("panel.enabled", Kind.FLAG, _PANEL, None),
    ("panel.login", Kind.TEXT, _PANEL, None),
    ("panel.password", Kind.SECRET, _PANEL, None),
    ("postpaid", Kind.FLAG, _ORIG, None),
    ("credit", Kind.MONEY, _ORIG, None),
    ("payment_terms", Kind.TEXT, _ORIG, None),
    ("rate_table", Kind.REFERENCE, _ORIG, "rate_table_id"),
    ("routing_plan", Kind.TEXT, _ORIG, None),
    ("capacity", Kind.COUNT, _ORIG, None),
    ("concurrency.policy", Kind.WORD, _ORIG, "concurrency"),
    ("concurrency.calls", Kind.COUNT, _ORIG, None),
    ("concurrency.seconds", Kind.COUNT, _ORIG, None),
    ("charge_max", Kind.MONEY, _ORIG, None),
    ("refuse_losses", Kind.FLAG, _ORIG, None),
    ("term_rate_table", Kind.REFERENCE, _TERM, "term_rate_table_id"),
    ("term_capacity", Kind.COUNT, _TERM, None),
    ("low_balance.notify_client", Kind.MONEY, _LOW, None),
    ("low_balance.notify_admin", Kind.MONEY, _LOW, None),
    ("low_balance.threshold", Kind.MONEY, _LOW, None),
    ("low_balance.capacity", Kind.COUNT, _LOW, None),
    ("autoinvoicing.enabled", Kind.FLAG, _INVOICES, "autoinvoicing"),
    ("autoinvoicing.template", Kind.TEXT, _INVOICES, "invoice_template"),
    ("autoinvoicing.last_invoiced", Kind.DATE, _INVOICES, "last_invoiced"),
    ("rate_notification.enabled", Kind.FLAG, _RATES, "rate_notification"),
    ("rate_notification.format", Kind.WORD, _RATES, None),
    ("rate_notification.type", Kind.WORD, _RATES, None),
    ("auto_payment.enabled", Kind.FLAG, _PAYMENT, "auto_payment"),
    ("auto_payment.extra_amount", Kind.MONEY, _PAYMENT, None),
    ("company.name", Kind.TEXT, _COMPANY, None),
    ("company.main_email", Kind.TEXT, _COMPANY, None),
    ("company.noc_email", Kind.TEXT, _COMPANY, None),
    ("company.notify_about_blocks", Kind.FLAG, _COMPANY, None),
    ("company.billing_email", Kind.TEXT, _COMPANY, None),
    ("company.rates_email", Kind.TEXT, _COMPANY, None),
    ("company.address", Kind.TEXT, _COMPANY, None),
    ("company.zip", Kind.TEXT, _COMPANY, None),
    ("company.tax_id", Kind.TEXT, _COMPANY, None),
    ("company.reg_id", Kind.TEXT, _COMPANY, None),
    ("company.account_details", Kind.TEXT, _COMPANY, None),
    ("locale", Kind.TEXT, _COMPANY, None),
)

FIELDS: Mapping[str, ClientField] = {
    key: ClientField(key, kind, heading, column or key.removeprefix(COMPANY).replace(".", "_"))
    for key, kind, heading, column in _TABLE
}

REFERENCES = tuple(field for field in FIELDS.values() if field.kind is Kind.REFERENCE)
IN_COMPANY = tuple(field for field in FIELDS.values() if field.in_company)
PLAIN = tuple(field for field in FIELDS.values() if not (field.in_company or field in REFERENCES))
"""Fields whose column has the value itself."""

WHOLE_SECTIONS = {"concurrency": ("concurrency.policy", "concurrency.calls", "concurrency.seconds")}
"""Sections that are set and unset as a whole, with the fields that they are."""

COMPUTED: Mapping[str, Kind] = {
    "id": Kind.COUNT,
    "available": Kind.MONEY,
    "live": Kind.MONEY,
    "fixed": Kind.MONEY,
    "reserved": Kind.MONEY,
    "in_use": Kind.COUNT,
    "term_in_use": Kind.COUNT,
    "role": Kind.WORD,
}
"""What clients are listed, found and sorted by besides their fields; nobody sets it."""


def json_form(value: Any) -> Any:
    """Return a value as JSON can keep it."""
    match value:
        case Decimal():
            return plain(value)
        case date():
            return value.isoformat()
    return value


def value_of(key: str, kept: Any) -> Any:
    """Return the value of which *kept* is the form in JSON."""
    if kept is not None:
        match FIELDS[key].kind:
            case Kind.MONEY:
                return Decimal(kept)
            case Kind.DATE:
                return date.fromisoformat(kept)
    return kept
