"""`billing block`: what is barred, until when, and who said so."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from billing_command import Billing

from billing_core.block import BlockKind
from billing_core.catalogue import Catalogue
from billing_core.storage.catalogue_reader import CatalogueReader
from billing_core.storage.connection import connect

CLIENTS = """
[[client]]
name = "Customer A"
currency = "EUR"
[[client.account]]
name = "alice"
password = "secret"
[[client.account]]
ip = "192.0.2.1"
[[client.account]]
ani = "442071234567"
"""


@pytest.fixture
def known(billing: Billing) -> Billing:
    """Give the command with one client and his accounts."""
    assert billing.apply(CLIENTS).code == 0
    return billing


def added(billing: Billing, *arguments: str) -> Any:
    result = billing("block", "add", *arguments, "--json")
    assert result.code == 0, result.err
    return result.document


def listed(billing: Billing, *options: str) -> list[tuple[str, str]]:
    return [(row["kind"], row["value"]) for row in billing("block", "list", "--json", *options).document]


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("number", "+4420", "4420"),
        ("number", "00442071234567", "442071234567"),
        ("code", "+882", "882"),
        ("account", "alice", "alice"),
        ("account", "::ffff:192.0.2.1", "192.0.2.1"),
        ("account", "+442071234567", "442071234567"),
        ("client", "Customer A", "Customer A"),
    ],
)
def test_what_is_blocked_is_kept_as_it_is_compared(
    known: Billing, kind: str, written: str, value: str
) -> None:
    block = added(known, kind, written)

    assert (block["kind"], block["value"], block["expires_at"]) == (kind, value, None)
    assert listed(known) == [(kind, value)]


def test_a_worker_knows_of_a_block_and_of_its_removal(known: Billing) -> None:
    catalogue = Catalogue()
    reader = CatalogueReader(catalogue)

    def is_barred() -> bool:
        reader.read_all(connection)
        now = datetime.now(UTC)
        return catalogue.blocks.barring([(BlockKind.NUMBER.value, "4420")], "", now) is not None

    with closing(connect(known.url, application="test")) as connection:
        before = is_barred()
        added(known, "number", "4420")
        blocked = is_barred()
        known("block", "remove", "number", "4420")
        after = is_barred()

    assert (before, blocked, after) == (False, True, False)


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        ("number", "44 20", '"44 20" is not a number; write digits only, such as "442071234567"'),
        ("code", "+", '"+" is not a number'),
        ("code", "4" * 41, "is not a number"),
        ("account", "alcie", 'account "alcie" is not known; did you mean "alice"?'),
        ("client", "Customer B", 'client "Customer B" is not known; known here: Customer A'),
    ],
)
def test_a_value_that_bars_nothing_is_refused(known: Billing, kind: str, value: str, sentence: str) -> None:
    result = known("block", "add", kind, value)

    assert (result.code, result.out) == (1, "")
    assert sentence in result.err
    assert known.sql("SELECT count(*) FROM block") == [(0,)]
    assert known.version() == 1


def test_a_block_tells_who_why_and_since_when(known: Billing) -> None:
    block = added(known, "code", "882", "--reason", "fraud, ticket 17", "--expires", "2999-01-01")

    [row] = known("block", "list", "--json").document
    assert row == {**block, "removed_at": None, "in_force": True}
    assert (row["reason"], row["expires_at"]) == ("fraud, ticket 17", "2999-01-01T00:00:00Z")
    assert row["who"]
    assert row["created_at"].endswith("Z")
    human = known("block", "list").out
    assert "882" in human
    assert "fraud, ticket 17" in human


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_a_time_from_now_on_begins_with_the_block(known: Billing, written: str, time: timedelta) -> None:
    added(known, "code", "882", "--expires", written)

    assert known.sql("SELECT expires_at - created_at FROM block") == [(time,)]


@pytest.mark.parametrize("expires", ["2020-01-01", "0h"])
def test_an_end_that_has_passed_is_refused(known: Billing, expires: str) -> None:
    result = known("block", "add", "code", "882", "--expires", expires)

    assert result.code == 1
    assert "has passed; name a moment after now" in result.err


def test_what_has_expired_is_listed_only_on_request(known: Billing) -> None:
    added(known, "code", "882", "--expires", "1h")
    added(known, "code", "883")
    known.sql("UPDATE block SET expires_at = now() - interval '1 second' WHERE value = '882'")

    assert listed(known) == [("code", "883")]
    assert listed(known, "--all") == [("code", "882"), ("code", "883")]
    assert [row["in_force"] for row in known("block", "list", "--all", "--json").document] == [False, True]
    assert known("block", "remove", "code", "882").code == 1


def test_a_block_is_removed_by_its_id(known: Billing) -> None:
    first, second = added(known, "code", "882"), added(known, "code", "882")

    result = known("block", "remove", str(first["id"]))

    assert result.out == f"block {first['id']}: code 882 is no longer blocked by it\n"
    assert [row["id"] for row in known("block", "list", "--json").document] == [second["id"]]


def test_all_blocks_of_a_value_are_removed_by_it(known: Billing) -> None:
    added(known, "number", "4420")
    added(known, "number", "4420", "--expires", "1h")
    added(known, "code", "4420")

    removed = known("block", "remove", "number", "+4420", "--json").document

    assert [(row["kind"], row["value"]) for row in removed] == [("number", "4420")] * 2
    assert listed(known) == [("code", "4420")]
    assert len(listed(known, "--all")) == 3


def test_a_block_outlives_the_name_that_it_bars_and_can_still_be_removed(known: Billing) -> None:
    added(known, "account", "alice")
    known.sql("UPDATE account SET name = 'bob' WHERE name = 'alice'")

    assert known("block", "remove", "account", "alice").code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["7"], "there is no block 7 in force; `billing block list` shows all that are"),
        (["number", "4420"], 'there is no block number "4420" in force'),
        (["number"], '"number" is not the id of a block; write an id as `billing block list` shows it'),
        (["vendor", "x"], '"vendor" is no kind of block; write one of number, code, account, client'),
    ],
)
def test_what_is_not_blocked_cannot_be_removed(known: Billing, arguments: list[str], sentence: str) -> None:
    result = known("block", "remove", *arguments)

    assert result.code == 1
    assert sentence in result.err
    assert known.version() == 1


def test_blocks_are_audited_and_count_the_catalogue_up(known: Billing) -> None:
    added(known, "code", "882", "--reason", "fraud")
    known("block", "remove", "code", "882")

    rows = known.sql(
        "SELECT object_name, field, before, after, through, who <> '' FROM audit"
        " WHERE object_kind = 'block' ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("code 882", "created", None, "true", "block add code 882", True),
        ("code 882", "reason", None, "fraud", "block add code 882", True),
        ("code 882", "removed", None, "true", "block remove code 882", True),
    ]
    assert known.version() == 3


@pytest.mark.parametrize(
    "arguments", [["add", "vendor", "x"], ["add", "code", "882", "--expires", "soon"], ["add", "code"]]
)
def test_a_wrong_command_line_ends_with_2(billing: Billing, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        billing("block", *arguments)

    assert ended.value.code == 2
