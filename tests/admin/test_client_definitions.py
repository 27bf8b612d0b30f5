"""Every field of a client: set by himself, by a template or by nobody, checked, shown and audited."""

from decimal import Decimal
from typing import Any

import pytest
from billing_command import Billing

from billing_core.admin.definitions import panel_password
from billing_core.admin.definitions.client_definition import DEFAULTS, Client
from billing_core.admin.definitions.client_fields import FIELDS
from billing_core.admin.definitions.definition import default_fields
from billing_core.storage.tables import client as client_table

EVERYTHING = """
[[reseller]]
name = "North"
[[rate_table]]
name = "Retail"
currency = "EUR"
[[rate_table]]
name = "Wholesale"
currency = "EUR"
[[template]]
name = "VIP"
[[client]]
name = "A"
reseller = "North"
currency = "EUR"
timezone = "Europe/Paris"
status = "stop"
template = "VIP"
tags = ["a, b", "c"]
tax_profile = "EU VAT"
bill_by = "setup"
hidden_numbers = true
panel = { enabled = true, login = "a", password = "panel-secret" }
postpaid = true
credit = "-5.50"
payment_terms = "7/7"
rate_table = "Retail"
routing_plan = "Standard"
capacity = 10
concurrency = { policy = "share", calls = 4 }
charge_max = "3.00"
refuse_losses = true
term_rate_table = "Wholesale"
term_capacity = 20
locale = "fr_FR"
[client.low_balance]
notify_client = "5.00"
notify_admin = "1.00"
threshold = "2.00"
capacity = 1
[client.autoinvoicing]
enabled = true
template = "Plain"
last_invoiced = "2026-10-31"
[client.rate_notification]
enabled = true
format = "csv"
type = "changed"
[client.auto_payment]
enabled = true
extra_amount = "50.00"
[client.company]
name = "A Ltd"
main_email = "office@a.example"
noc_email = "noc@a.example"
notify_about_blocks = true
billing_email = "billing@a.example"
rates_email = "rates@a.example"
address = "1 Street"
zip = "10001"
tax_id = "T1"
reg_id = "R1"
account_details = "Bank 1"
"""

TEMPLATE = """
[[template]]
name = "VIP"
currency = "EUR"
credit = "100.00"
capacity = 5
tags = ["vip"]
low_balance = {{ notify_client = "10.00" }}
{}
"""
OF_TEMPLATE = '[[client]]\nname = "A"\ntemplate = "VIP"\n{}\n'


def row(billing: Billing, name: str = "A") -> dict[str, Any]:
    return dict(billing.sql("SELECT * FROM client WHERE name = :name", name=name)[0]._mapping)


def audited(billing: Billing, field: str) -> list[tuple[object, ...]]:
    return [
        tuple(row)
        for row in billing.sql(
            "SELECT object_name, before, after FROM audit WHERE field = :field ORDER BY id", field=field
        )
    ]


# --- the table of fields ----------------------------------------------------------------------------


def test_fields_are_told_of_in_one_order() -> None:
    assert list(DEFAULTS) == list(FIELDS)


def test_the_table_of_fields_has_every_field_that_a_definition_can_name() -> None:
    outside = {"name", "account", "unset", "if_version"}
    named = default_fields(Client, Client.model_fields.keys() - outside).keys() - {"panel.password_hash"}

    assert named == FIELDS.keys() == DEFAULTS.keys()


def test_every_field_is_kept_in_a_column_that_no_other_field_has() -> None:
    columns = [field.column for field in FIELDS.values() if not field.in_company]

    assert len(columns) == len(set(columns))
    assert set(columns) < set(client_table.c.keys())


def test_every_field_is_kept_as_it_was_written_and_is_told_and_audited(billing: Billing) -> None:
    changes = billing.apply(EVERYTHING, "--json").document["changes"]

    told = {change["field"]: change["after"] for change in changes if change["object"] == "client"}
    kept = row(billing)
    assert told.keys() | {"concurrency.seconds"} == FIELDS.keys() | {"created"}
    in_audit = billing.sql("SELECT field FROM audit WHERE object_name = 'A'")
    assert {field for (field,) in in_audit} == told.keys()
    assert kept["credit"] == Decimal("-5.50")
    assert str(kept["last_invoiced"]) == "2026-10-31"
    assert kept["company"]["notify_about_blocks"] is True
    assert (kept["tags"], kept["rate_notification_type"]) == (["a, b", "c"], "changed")
    assert audited(billing, "tags") == [("A", None, '"a, b", c')]
    assert billing.apply(EVERYTHING).out == "nothing to change\n"


def test_the_audit_says_whom_a_change_concerns_and_in_which_version(billing: Billing) -> None:
    account = '[[client.account]]\nip = "192.0.2.1"\ncapacity = 5\n'
    billing.apply(EVERYTHING + account)
    billing.apply(EVERYTHING + account.replace("5", "6"))

    [found] = billing.sql(
        "SELECT version, object_id, client_id FROM audit WHERE field = 'capacity' AND after = '6'"
    )

    [ids] = billing.sql("SELECT account.id, client_id FROM account")
    assert tuple(found) == (2, *ids)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('company = { noc_email = "пост@example.com" }', "company.noc_email: "),
        ('company = { main_email = "a@b.example c@d.example" }', "company.main_email: "),
        ('timezone = "Mars/Olympus"', "timezone: "),
        ('credit = "1234567890"', "credit: "),
        ('low_balance = { notify_client = "1e3" }', "low_balance.notify_client: "),
        ('low_balance = { threshold = "5" }', "low_balance: client"),
        (
            'autoinvoicing = { last_invoiced = "2026-02-30" }',
            'autoinvoicing.last_invoiced: "2026-02-30" is not a date',
        ),
        (
            "autoinvoicing = { last_invoiced = 2026-02-01T10:00:00 }",
            'autoinvoicing.last_invoiced: "2026-02-01 10:00:00" is not a date',
        ),
        ('rate_notification = { format = "pdf" }', "rate_notification.format: "),
        ('auto_payment = { extra_amount = "-1" }', "auto_payment.extra_amount: "),
        ('panel = { password = "short" }', "panel.password: must have at least 8 characters"),
        ('panel = { password_hash = "plain" }', "panel.password_hash: "),
        ('unset = ["credti"]', 'unset: "credti" is not a field of clients; did you mean "credit"?'),
        ('credit = "1"\nunset = ["credit"]', 'unset: "credit" is both set and unset'),
        ('template = "VPI"', 'template: there is no template "VPI"; did you mean "VIP"?'),
    ],
)
def test_a_faulty_field_is_named_by_file_and_line_and_nothing_is_applied(
    billing: Billing, line: str, fault: str
) -> None:
    text = f'[[template]]\nname = "VIP"\n[[client]]\nname = "A"\ncurrency = "EUR"\n{line}\n'

    result = billing.apply(text)

    assert result.code == 1
    assert f"billing.toml:{5 + line.count(chr(10)) + 1}: client.{fault}" in result.err
    assert billing.sql("SELECT * FROM client") == []


def test_parts_of_a_section_that_are_not_named_are_left(billing: Billing) -> None:
    billing.apply(EVERYTHING)

    billing.apply(
        '[[client]]\nname = "A"\nlow_balance = { notify_admin = "" }\nauto_payment = { enabled = false }'
    )

    kept = row(billing)
    assert (kept["low_balance_notify_admin"], kept["low_balance_notify_client"]) == (None, Decimal("5.00"))
    assert (kept["auto_payment"], kept["auto_payment_extra_amount"]) == (False, Decimal("50.00"))


def test_an_empty_capacity_is_unlimited(billing: Billing) -> None:
    billing.apply(EVERYTHING)

    billing.apply('[[client]]\nname = "A"\ncapacity = ""')

    assert row(billing)["capacity"] is None


# --- the client panel -------------------------------------------------------------------------------


def test_only_a_hash_of_the_panels_password_is_kept_and_nothing_shows_it(billing: Billing) -> None:
    result = billing.apply(EVERYTHING)

    kept = row(billing)["panel_password"]
    assert kept.startswith("$argon2id$")
    assert panel_password.is_of(kept, "panel-secret")
    assert not panel_password.is_of(kept, "panel-secre")
    everything = result.out + result.err + str(billing.sql("SELECT * FROM audit"))
    assert "panel-secret" not in everything
    assert kept not in everything


def test_another_password_is_another_hash_and_a_hash_is_taken_as_it_is(billing: Billing) -> None:
    billing.apply(EVERYTHING)
    first = row(billing)["panel_password"]

    changed = billing.apply(EVERYTHING.replace("panel-secret", "other-secret"))
    assert changed.out.splitlines()[0] == "client A: panel.password *** -> ***"
    billing.apply(EVERYTHING.replace('password = "panel-secret"', f'password_hash = "{first}"'))

    assert row(billing)["panel_password"] == first


def test_a_login_is_one_clients_only(billing: Billing) -> None:
    billing.apply(EVERYTHING)

    result = billing.apply('[[client]]\nname = "B"\ncurrency = "EUR"\npanel = { login = "a" }')

    assert 'billing.toml:4: client.panel.login: login "a" is that of client "A"' in result.err


# --- templates --------------------------------------------------------------------------------------


def test_a_client_has_what_his_template_sets_and_what_he_sets_himself(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format('credit = "7.00"'))

    kept = row(billing)
    assert (kept["credit"], kept["capacity"], kept["tags"]) == (Decimal("7.00"), 5, ["vip"])
    assert kept["low_balance_notify_client"] == Decimal("10.00")
    assert kept["own"] == ["credit", "template"]


def test_a_changed_template_reaches_only_clients_that_do_not_override(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format('credit = "7.00"'))
    billing.apply('[[client]]\nname = "B"\ntemplate = "VIP"\n[[client]]\nname = "C"\ncurrency = "EUR"\n')

    result = billing.apply('[[template]]\nname = "VIP"\ncredit = "200.00"\ncapacity = 6\n')

    credits = dict(tuple(r) for r in billing.sql("SELECT name, credit FROM client"))
    assert credits == {"A": Decimal("7.00"), "B": Decimal("200.00"), "C": 0}
    assert dict(tuple(r) for r in billing.sql("SELECT name, changed_in FROM client")) == {
        "A": 3,
        "B": 3,
        "C": 2,
    }
    assert "client B: credit 100.00 -> 200.00" in result.out
    assert "client A: capacity 5 -> 6" in result.out
    assert audited(billing, "credit")[-2:] == [("VIP", "100.00", "200.00"), ("B", "100.00", "200.00")]


def test_what_is_unset_is_the_templates_again_or_the_default(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format('credit = "7.00"\nlocale = "en"'))

    billing.apply('[[client]]\nname = "A"\nunset = ["credit", "locale"]\n')

    kept = row(billing)
    assert (kept["credit"], kept["locale"], kept["own"]) == (Decimal("100.00"), None, ["template"])


def test_a_client_can_have_nothing_where_his_template_has_something(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format('capacity = ""\ntags = []'))

    billing.apply('[[template]]\nname = "VIP"\ncapacity = 9\ntags = ["new"]\n')

    assert (row(billing)["capacity"], row(billing)["tags"]) == (None, [])


def test_a_field_that_a_template_no_longer_sets_is_the_default_again(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format(""))

    result = billing.apply('[[template]]\nname = "VIP"\nunset = ["capacity", "low_balance"]\n')

    assert "template VIP: capacity 5 -> none" in result.out
    assert (row(billing)["capacity"], row(billing)["low_balance_notify_client"]) == (None, None)


def test_a_client_without_his_template_keeps_only_what_is_his_own(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format('credit = "7.00"\ncurrency = "EUR"'))

    billing.apply('[[client]]\nname = "A"\ntemplate = ""\n')

    assert (row(billing)["credit"], row(billing)["capacity"]) == (Decimal("7.00"), None)


def test_to_set_what_the_template_sets_keeps_it_from_changing_and_is_told(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format(""))

    result = billing.apply('[[client]]\nname = "A"\ncapacity = 5\n')
    billing.apply('[[template]]\nname = "VIP"\ncapacity = 9\n')

    assert result.out.splitlines()[0] == "client A: own none -> capacity"
    assert row(billing)["capacity"] == 5


def test_a_template_that_spoils_a_client_is_refused_where_it_says_so(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format(""))

    result = billing.apply('[[template]]\nname = "VIP"\nlow_balance = { threshold = "1" }\n')

    assert 'billing.toml:3: template.low_balance: client "A" has low_balance.threshold but no' in result.err


@pytest.mark.parametrize("line", ['panel = { login = "x" }', 'panel = { password = "password-1" }'])
def test_a_template_can_set_nothing_that_is_one_clients_only(billing: Billing, line: str) -> None:
    result = billing.apply(f'[[template]]\nname = "VIP"\n{line}\n')

    assert result.code == 1
    assert "is a client's own; a template cannot set it for many" in result.err


def test_money_and_dates_of_a_template_are_kept_exactly(billing: Billing) -> None:
    line = 'credit = "0.10000000"\nautoinvoicing = { last_invoiced = 2026-10-31 }'
    billing.apply(f'[[template]]\nname = "T"\n{line}\n')

    [(kept,)] = billing.sql("SELECT fields FROM template")

    assert kept == {
        "credit": "0.10000000",
        "autoinvoicing.last_invoiced": "2026-10-31",
    }
    assert billing.apply(f'[[template]]\nname = "T"\n{line}\n').out == "nothing to change\n"


# --- deleted clients, and two who change one ---------------------------------------------------------


def test_a_deleted_client_has_no_panel_and_no_account_that_is_on(billing: Billing) -> None:
    account = '[[client.account]]\nip = "192.0.2.1"\nterm = true\n'
    billing.apply(EVERYTHING + account)

    billing.apply('[[client]]\nname = "A"\nstatus = "deleted"\n')

    assert row(billing)["panel_enabled"] is False
    assert [tuple(r) for r in billing.sql("SELECT orig, term FROM account")] == [(False, False)]
    again = EVERYTHING.replace('"stop"', '"deleted"') + account
    assert billing.apply(again).out == "nothing to change\n"


def test_who_changes_a_client_as_he_no_longer_is_is_told_and_changes_nothing(billing: Billing) -> None:
    billing.apply(EVERYTHING)
    seen = row(billing)["changed_in"]
    billing.apply('[[client]]\nname = "A"\ncredit = "20.00"\n')

    result = billing.apply(f'[[client]]\nname = "A"\nif_version = {seen}\ncapacity = 3\n')

    assert result.code == 1
    assert (
        f':3: client.if_version: client "A" was changed after version {seen}: credit -5.50 -> 20.00 by'
        in result.err
    )
    assert row(billing)["capacity"] == 10
    assert billing.apply(f'[[client]]\nname = "A"\nif_version = {seen}\ncapacity = 10\n').code == 0
    assert billing.apply(f'[[client]]\nname = "A"\nif_version = {seen + 1}\ncapacity = 3\n').code == 0
