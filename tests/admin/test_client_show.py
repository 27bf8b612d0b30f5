"""`billing clients show`: every field in its section, with what is computed, and where each comes from."""

from billing_command import Billing
from test_client_definitions import EVERYTHING, OF_TEMPLATE, TEMPLATE

from billing_core.admin.definitions.client_fields import FIELDS

NORTH = EVERYTHING.replace('name = "North"\n', 'name = "North"\nparent = "Pole"\n', 1)
DEFINITIONS = f"""{NORTH}
[[client.account]]
name = "a"
password = "account-secret"
[[client.account]]
ip = "192.0.2.1"
orig = false
term = true
[[reseller]]
name = "Pole"
"""


def test_every_field_is_shown_in_its_section_and_no_secret_is(billing: Billing) -> None:
    assert billing.apply(DEFINITIONS).code == 0

    result = billing("clients", "show", "A", "--json")

    shown = result.document
    for key in FIELDS.keys() - {"capacity", "term_capacity"}:
        section, _, part = key.partition(".")
        assert (shown[section][part] if part else shown[section]) not in ("", []), key
    assert (shown["capacity"], shown["term_capacity"]) == (
        {"limit": 10, "in_use": 0},
        {"limit": 20, "in_use": 0},
    )
    assert (shown["company"]["tax_id"], shown["autoinvoicing"]["last_invoiced"]) == ("T1", "2026-10-31")
    assert shown["panel"] == {"enabled": True, "login": "a", "password": "***"}
    assert "secret" not in result.out
    assert "argon2" not in result.out


def test_a_client_is_shown_with_role_version_resellers_and_accounts(billing: Billing) -> None:
    billing.apply(DEFINITIONS)
    billing("clients", "set", "A", "--credit", "1")

    shown = billing("clients", "show", "A", "--json").document

    assert (shown["role"], shown["version"], shown["resellers"]) == ("both", 2, ["North", "Pole"])
    assert [(account["name"], account["ip"], account["term"]) for account in shown["accounts"]] == [
        ("a", None, False),
        (None, "192.0.2.1", True),
    ]
    assert "origin" not in shown


def test_the_origin_of_each_field_is_told(billing: Billing) -> None:
    billing.apply(
        TEMPLATE.format("") + OF_TEMPLATE.format('credit = "7.00"\nlow_balance = { notify_admin = "1" }')
    )

    origin = billing("clients", "show", "A", "--origin", "--json").document["origin"]

    assert origin.keys() == FIELDS.keys()
    assert {key: told for key, told in origin.items() if told != "default"} == {
        "template": "client",
        "credit": "client",
        "currency": "template VIP",
        "capacity": "template VIP",
        "tags": "template VIP",
        "low_balance.notify_client": "template VIP",
        "low_balance.notify_admin": "client",
    }


def test_people_read_the_fields_under_the_headings_of_the_form(billing: Billing) -> None:
    billing.apply(TEMPLATE.format("") + OF_TEMPLATE.format("postpaid = true"))

    out = billing("clients", "show", "A", "--origin").out

    lines = [" ".join(line.split()) for line in out.splitlines()]
    headings = dict.fromkeys(field.heading for field in FIELDS.values())
    assert [line for line in lines if line in headings] == list(headings)
    assert lines.index("Originator Settings") < lines.index("credit 100.00 template VIP")
    assert lines.index("credit 100.00 template VIP") < lines.index("Terminator Settings")
    assert {"available No Limit", "postpaid true client", "locale — default"} <= {*lines}
