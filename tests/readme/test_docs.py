"""The tables of docs/ name only tests, reasons and fields that exist, and leave none out."""

import ast
import re
from functools import cache

import pytest
from served import REPOSITORY

from billing_core.admin.command_line import SUBCOMMANDS
from billing_core.admin.definitions.client_fields import FIELDS
from billing_core.admin.ledger.invariants import INVARIANTS
from billing_core.admin.ledger.suspicions import SUSPICIONS
from billing_core.admin.ledger.verify import DEAREST, RATED_AGAIN
from billing_core.denial import Denial
from billing_core.xdr import Unbillable
from radiusd.suspicion import Suspicion
from radiusd.wire import DropReason

TESTS = REPOSITORY / "tests"
PROTOCOL = (REPOSITORY / "docs" / "protocol.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PROTOCOL.splitlines()
    if re.match(r"\| [PBRYOS]-\d", line)
]


CLIENTS = (REPOSITORY / "docs" / "clients.md").read_text(encoding="utf-8")
ITEMS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in CLIENTS.splitlines()
    if line.startswith("| ") and not line.startswith("| item ")
]


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def assert_proven(cell: str) -> None:
    proofs = re.findall(r"`([\w/]+\.py)::(test_\w+)`", cell)

    assert proofs
    assert cell == " ".join(f"`{file}::{name}`" for file, name in proofs)
    assert [name for file, name in proofs if not (TESTS / file).exists() or name not in functions(file)] == []


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_row_is_proven_by_tests_that_exist(row: list[str]) -> None:
    assert_proven(row[-1])


@pytest.mark.parametrize("row", ITEMS, ids=[row[0] for row in ITEMS])
def test_every_item_of_the_form_is_proven_by_tests_that_exist_or_follows_later(row: list[str]) -> None:
    item, here, proofs = row

    assert item
    if proofs == "—":
        assert re.search("follows? later", here)
    else:
        assert_proven(proofs)


def test_every_field_of_clients_is_an_item_of_the_form() -> None:
    told = {word for row in ITEMS for word in re.findall(r"`\.?([a-z_.]+)`", row[1])}
    beyond = {"concurrency.policy", "concurrency.calls", "concurrency.seconds", "charge_max", "refuse_losses"}

    assert {key for key in FIELDS if key not in told and key.partition(".")[2] not in told} == beyond


def test_every_command_that_an_item_names_exists() -> None:
    known = {" ".join(words) for words in SUBCOMMANDS}
    told = {name for row in ITEMS for name in re.findall(r"`billing ([a-z -]+?)(?: [A-Z-].*?)?`", row[1])}

    assert told
    assert {name.partition(" --")[0] for name in told} <= known


def test_every_row_stands_once_and_in_order() -> None:
    for kind in "PBRYOS":
        ids = [row[0] for row in ROWS if row[0].startswith(kind)]

        assert ids == sorted(set(ids))


def test_every_fault_is_named_by_a_test_of_its_own() -> None:
    faults = {row[0]: row[-1] for row in ROWS if row[0].startswith("R")}
    of_the_money = {f"R-{number:02}" for number in (*range(1, 10), *range(23, 35))}

    assert of_the_money - faults.keys() == set()
    assert [id for id, proofs in faults.items() if id.lower().replace("-", "_") not in proofs] == []


def test_the_rows_are_counted_at_the_top() -> None:
    counts = [sum(row[0].startswith(kind) for row in ROWS) for kind in "PB"]
    told = re.findall(r"Proven: (\d+) rows of the protocol \(P-\) and (\d+) of bad input \(B-\)", PROTOCOL)

    assert told == [tuple(map(str, counts))]


def test_every_reason_that_a_row_names_exists() -> None:
    words = {word for row in ROWS for cell in row[1:-1] for word in re.findall(r"`([a-z_]+)`", cell)}

    assert words <= {*DropReason, *Denial, *Unbillable, *Suspicion}


def test_every_reason_to_drop_a_packet_has_a_row() -> None:
    told = {word for row in ROWS for cell in row[1:-1] for word in re.findall(r"`([a-z_]+)`", cell)}
    # These are of a database that is away, and of a mistake of ours.
    elsewhere = {DropReason.BACKEND_DOWN, DropReason.INTERNAL_ERROR}

    assert told >= set(DropReason) - elsewhere


def test_every_rule_and_warning_of_verify_is_explained() -> None:
    told = re.findall(r"^\| `(\w+)` \|", (REPOSITORY / "docs" / "verify.md").read_text("utf-8"), re.M)
    rules = [*(invariant.name for invariant in INVARIANTS), *RATED_AGAIN, DEAREST]

    assert sorted(told) == sorted([*rules, *(suspicion.name for suspicion in SUSPICIONS)])
