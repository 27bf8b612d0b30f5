"""How a client is defined: every field that he can have, by himself or from a template."""

from typing import Annotated

from pydantic import AfterValidator, Field

from billing_core.admin.definitions.client_fields import FIELDS, WHOLE_SECTIONS
from billing_core.admin.definitions.definition import (
    Definition,
    Emptiable,
    Fields,
    Parts,
    Whole,
    default_fields,
)
from billing_core.admin.definitions.definition_values import (
    AccountName,
    Ani,
    Capacity,
    Currency,
    Day,
    Email,
    Ip,
    Locale,
    MoneyNotNegative,
    PanelPassword,
    Password,
    PasswordHash,
    TechPrefix,
)
from billing_core.client import BillBy, Policy, Status
from billing_core.settings import (
    Array,
    Money,
    Name,
    Text,
    Timezone,
    default,
    different,
    nearest,
    one_of,
    words,
)


class Panel(Parts):
    """The client's own access to the client panel; of the password only a hash is kept.

    `password_hash` is what an export writes in place of the password.
    """

    enabled: bool = False
    login: Name | None = None
    password: PanelPassword | None = default(None, repr=False)
    password_hash: PasswordHash | None = default(None, repr=False)


class LowBalance(Parts):
    """What happens when little of the available money is left.

    Below `threshold` only `capacity` legs may be up at once. Below `notify_client` the client is told by
    mail, below `notify_admin` the operator by the events log.
    """

    threshold: Money | None = None
    capacity: Annotated[int, Field(ge=0, le=65_535)] | None = None
    notify_client: Money | None = None
    notify_admin: Money | None = None


class Concurrency(Whole):
    """A client's policy for parallel calls; see `billing_core.client.Concurrency`."""

    policy: Annotated[Policy, one_of({policy.value: policy for policy in Policy})]
    calls: Annotated[int, Field(ge=1, le=2_147_483_647)] | None = None
    seconds: Annotated[int, Field(ge=10, le=3600)] | None = None


class Autoinvoicing(Parts):
    """Invoices at the end of each period of the payment terms; `last_invoiced` is the day they reach to."""

    enabled: bool = False
    template: Name | None = None
    last_invoiced: Day | None = None


class RateNotification(Parts):
    """Mails to the rates email when rates change: `type` says whether with all rates or the changed ones."""

    enabled: bool = False
    format: Annotated[str, words("xlsx", "csv")] = "xlsx"
    type: Annotated[str, words("all", "changed")] = "all"


class AutoPayment(Parts):
    """Charges of the client's card; `extra_amount` is what is taken beyond what he owes."""

    enabled: bool = False
    extra_amount: MoneyNotNegative | None = None


class Company(Parts):
    """Who the client is on paper, and to whom of him mails go."""

    name: Text = ""
    main_email: Email = ""
    noc_email: Email = ""
    notify_about_blocks: bool = False
    billing_email: Email = ""
    rates_email: Email = ""
    address: Text = ""
    zip: Text = ""
    tax_id: Text = ""
    reg_id: Text = ""
    account_details: Text = ""


class Account(Definition):
    """How calls of a client are recognised; see `billing_core.client.Account`.

    `id` says which account of the client this is, whatever it is called from now on.
    """

    id: Annotated[int, Field(ge=1, le=2_147_483_647)] | None = None
    name: AccountName | None = None
    password: Password | None = default(None, repr=False)
    ip: Ip | None = None
    ani: Ani | None = None
    tech_prefix: TechPrefix = ""
    capacity: Capacity | None = None
    orig: bool = True
    term: bool = False
    price_per_minute_max: Money | None = None


class _ClientFields(Emptiable):
    """What a client has, be it his own or a template's."""

    name: Name
    status: Annotated[Status, one_of({status.value: status for status in Status})] = default("active")
    currency: Currency | None = None
    timezone: Timezone = "UTC"
    reseller: Name | None = None
    tags: Annotated[Array[Name], AfterValidator(different)] = ()
    tax_profile: Name | None = None
    bill_by: Annotated[BillBy, one_of({moment.value: moment for moment in BillBy})] = default("disconnect")
    hidden_numbers: bool = False
    postpaid: bool = False
    credit: Money = default(0)
    payment_terms: Name | None = None
    rate_table: Name | None = None
    routing_plan: Name | None = None
    capacity: Capacity | None = None
    term_rate_table: Name | None = None
    term_capacity: Capacity | None = None
    concurrency: Concurrency = default({"policy": "full"})
    charge_max: MoneyNotNegative | None = None
    refuse_losses: bool = False
    locale: Locale | None = None
    low_balance: LowBalance | None = None
    autoinvoicing: Autoinvoicing | None = None
    rate_notification: RateNotification | None = None
    auto_payment: AutoPayment | None = None
    panel: Panel | None = None
    company: Company | None = None
    unset: Array[Text] = ()


class Template(_ClientFields):
    """Fields that clients have who name it and do not set them themselves; `unset` takes some away again."""


class Client(_ClientFields):
    """Who owns a balance. Defaults are those of a new client, who must have a currency.

    `unset` gives fields back to the template, or to their defaults. With `if_version`, nothing changes if
    the client was changed after that version of the catalogue.
    """

    template: Name | None = None
    if_version: Annotated[int, Field(ge=0)] | None = None
    account: Array[Account] = ()


_DEFAULTS = default_fields(Client, {key.partition(".")[0] for key in FIELDS})

DEFAULTS: Fields = {key: _DEFAULTS[key] for key in FIELDS}
"""What a new client has where nothing is named, in the order in which fields are told of."""


def named_fields(word: str) -> tuple[str, ...]:
    """Return the fields that *word* names, a field or a whole section; raise ValueError."""
    if word in WHOLE_SECTIONS:
        return WHOLE_SECTIONS[word]
    if word in FIELDS and word.partition(".")[0] not in WHOLE_SECTIONS:
        return (word,)
    if parts := tuple(key for key in FIELDS if key.startswith(f"{word}.")):
        return parts
    if word in FIELDS:
        section = word.partition(".")[0]
        raise ValueError(f'"{word}" is set and unset with all of "{section}"; unset "{section}"')
    raise ValueError(f'"{word}" is not a field of clients{nearest(word, [*FIELDS, *WHOLE_SECTIONS])}')
