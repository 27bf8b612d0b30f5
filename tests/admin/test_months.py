"""`billing months`: a month of records is dropped, and no balance, rule or reference notices."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from billing_command import Billing
from calls import NOON, at, request, start, stop
from sqlalchemy.engine import make_url
from traffic import define, handle, place

from billing_core.admin.ledger import months
from billing_core.storage.schema import prepare


@pytest.fixture
def old(billing: Billing) -> Billing:
    """Give books of March, where no call is under way any more, and a payment of today."""
    define(billing)
    billing("payment", "Alice Telecom", "100", "--reference", "bank 1")
    billing("refund", "Alice Telecom", "10", "--reason", "x", "--reference", "back 1")
    billing.sql("UPDATE entry SET at = '2026-03-31 23:59:59.999999+00'")
    billing.sql("UPDATE entry_reference SET at = '2026-03-31 23:59:59.999999+00'")
    place(billing)
    handle(billing, stop(5, "under way"), stop(5, "accepted"), now=at(100))
    handle(billing, start("late"), now=at(200))
    handle(billing, stop(5, "late"), now=at(205))
    billing.sql(
        "UPDATE session SET state = 3, closed_at = opened_at, revision = 0, reserved = 0"
        " WHERE closed_at IS NULL"
    )
    billing.sql("UPDATE session SET state = 2 WHERE revision = 0")
    billing.sql("UPDATE balance SET term_in_use = 0")
    billing("payment", "Alice Telecom", "7")
    return billing


def money(billing: Billing) -> Any:
    return [
        {
            key: Decimal(value)
            for key, value in billing("clients", "show", name, "--json").document["balance"].items()
            if value
        }
        for name in ("Alice Telecom", "Vendor")
    ]


def test_a_dry_run_tells_what_the_month_holds_and_drops_nothing(old: Billing) -> None:
    result = old("months", "drop", "2026-03")

    assert result.code == 0
    assert "dry run: nothing was dropped" in result.out
    assert old.sql("SELECT count(*) FROM closed_month") == [(0,)]
    assert old.sql("SELECT count(*) > 3 FROM entry_2026_03") == [(True,)]


def test_a_dropped_month_leaves_every_balance_and_clean_books(old: Billing) -> None:
    before = money(old)
    assert old("verify").code == 0

    dropped = old("months", "drop", "2026-03", "--yes", "--json").document

    assert dropped["is_done"] is True
    assert money(old) == before
    assert old.sql("SELECT to_regclass('entry_2026_03'), to_regclass('xdr_2026_03')") == [(None, None)]
    assert old.sql("SELECT client_id, kind, reference FROM entry ORDER BY client_id, id") == [
        (1, "payment", None),
        (1, "carried", "carried 2026-03"),
        (2, "carried", "carried 2026-03"),
    ]
    document = old("verify", "--json").document
    assert document["ok"] is True
    left_out = {item["invariant"]: item["left_out"] for item in document["invariants"] if item["left_out"]}
    assert left_out.keys() == {"posted_is_the_amount_of_the_last_xdr", "a_reference_is_used_once"}


def test_records_of_unknown_kinds_and_disconnects_go_with_their_month(
    old: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "_DELETED_AT_ONCE", 2)
    unknown = "INSERT INTO unknown_record (nas, nas_box, at, status, session_id, attributes) VALUES"
    asked = "INSERT INTO disconnect (leg_key, generation, nas, reason, asked_at, next_at, attempts) VALUES"
    last, next_one = "2026-03-31 23:59:59.999999+00", "2026-04-01 00:00:00+00"
    for number, moment in enumerate([last] * 5 + [next_one]):
        old.sql(f"{unknown} ('gw', 'gw', '{moment}', 9, '', '{{}}')")
        old.sql(f"{asked} ('\\x0{number}', 0, 'gw', 'no_money', '{moment}', '{moment}', 5)")
    count = "SELECT (SELECT count(*) FROM unknown_record), (SELECT count(*) FROM disconnect)"

    looked = old("months", "drop", "2026-03", "--json").document
    assert (looked["unknown_records"], looked["disconnects"]) == (5, 5)
    assert old.sql(count) == [(6, 6)]
    old("months", "drop", "2026-03", "--yes")

    assert old.sql(count) == [(1, 1)]
    assert old.sql("SELECT at FROM unknown_record") == old.sql("SELECT asked_at FROM disconnect")


def test_a_stop_of_a_dropped_month_that_comes_again_or_late_posts_only_the_difference(old: Billing) -> None:
    old("months", "drop", "2026-03", "--yes")
    before = money(old)[0]["live"]

    handle(old, stop(61, "done", disconnect_cause="16"), now=NOON.replace(month=11))
    assert money(old)[0]["live"] == before
    handle(old, stop(62, "done", disconnect_cause="16"), now=NOON.replace(month=11))

    assert money(old)[0]["live"] == before - Decimal("0.01")
    document = old("verify", "--json").document
    assert [item for item in document["invariants"] if item["differences"]] == []
    assert {"charges_add_up_to_the_last_xdr": 1}.items() <= {
        item["invariant"]: item["left_out"] for item in document["invariants"]
    }.items()


def test_a_reference_of_a_dropped_month_is_still_used(old: Billing) -> None:
    old("months", "drop", "2026-03", "--yes")

    again = old("payment", "Alice Telecom", "100", "--reference", "bank 1", "--json").document

    assert again["already_booked"] is True


def test_the_ledger_shows_the_carried_sum_where_its_month_stood(old: Billing) -> None:
    whole = old("transactions", "Alice Telecom", "--json").document
    old("months", "drop", "2026-03", "--yes")

    found = old("transactions", "Alice Telecom", "--json").document
    assert [(item["kind"], item["balance"]) for item in found] == [
        ("carried", whole[-2]["balance"]),
        ("payment", whole[-1]["balance"]),
    ]


def test_the_books_of_a_dropped_month_are_still_watched(old: Billing) -> None:
    old("months", "drop", "2026-03", "--yes")
    old.sql("DELETE FROM entry WHERE kind = 'carried' AND client_id = 2")

    document = old("verify", "--json").document

    assert [item["invariant"] for item in document["invariants"] if item["differences"]] == [
        "live_is_the_sum_of_entries"
    ]


@pytest.mark.parametrize(
    ("month", "because"),
    [
        ("2026-3", 'is not a month; write the year and the month, as "2026-01"'),
        ("2026-13", "is not a month"),
        ("2099-01", "is too young; only months before "),
        ("2001-01", "there is none; `billing months list` names those that are"),
    ],
)
def test_what_cannot_be_dropped_is_refused_with_the_reason(old: Billing, month: str, because: str) -> None:
    result = old("months", "drop", month, "--yes")

    assert result.code == 1
    assert because in result.err


def test_a_month_with_calls_under_way_is_kept(old: Billing) -> None:
    handle(old, request("long"), start("long"))

    result = old("months", "drop", "2026-03", "--yes")

    assert (result.code, result.err) == (
        1,
        "month 2026-03: 1 calls of it are under way; see `billing calls`\n",
    )


def test_months_go_in_their_order_and_once(old: Billing) -> None:
    old.sql("UPDATE entry SET at = '2026-02-05' WHERE reference = 'back 1'")

    assert "drop the older month 2026-02 first" in old("months", "drop", "2026-03", "--yes").err
    assert old("months", "drop", "2026-02", "--yes").code == 0
    assert "was dropped before" in old("months", "drop", "2026-02", "--yes").err
    assert old("months", "drop", "2026-03", "--yes").code == 0
    assert old("verify").code == 0


def test_the_list_names_kept_and_dropped_months(old: Billing) -> None:
    old("months", "drop", "2026-03", "--yes")

    found = {item["month"]: item for item in old("months", "list", "--json").document}

    assert (found["2026-03"]["state"], found["2026-03"]["bytes"]) == ("dropped", 0)
    assert found["default"]["state"] == "kept"
    assert sum(item["state"] == "kept" for item in found.values()) == 14


SERVING = "serving_role_of_months"


@pytest.fixture
def served(old: Billing) -> Iterator[Billing]:
    """Give the books with a serving role beside the owner, as the settings name them."""
    old.sql(f"CREATE ROLE {SERVING} LOGIN")
    url = make_url(old.url).set(username=SERVING).render_as_string(hide_password=False)
    prepare(url, old.url)
    (old.directory / "radiusd.toml").write_text(f'[database]\nurl = "{url}"\nowner_url = "{old.url}"\n')
    yield old
    old.sql(f"DROP OWNED BY {SERVING}")
    old.sql(f"DROP ROLE {SERVING}")


def test_the_owner_drops_what_the_serving_role_cannot(served: Billing) -> None:
    assert served("months", "drop", "2026-03", "--yes").code == 0
    assert served("verify").code == 0
    assert served("payment", "Alice Telecom", "1").code == 0

    settings = served.directory / "radiusd.toml"
    settings.write_text("\n".join(line for line in settings.read_text().splitlines() if "owner" not in line))
    result = served("months", "drop", "2026-04", "--yes")
    assert result.code == 1
    assert "only the owner of the tables can drop it; set database.owner_url" in result.err


def test_the_serving_role_cannot_edit_by_the_name_of_a_month(served: Billing) -> None:
    served("months", "list")
    url = make_url(served.url).set(username=SERVING)
    with psycopg2.connect(dbname=url.database, user=SERVING, **url.query) as connection:
        for table in ("entry_2026_03", "xdr_2026_03", "entry_default"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege), connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608
            connection.rollback()
