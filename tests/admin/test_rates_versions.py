"""Imports that need a second look, that fail half-way or meet another one, and the way back."""

import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from billing_command import Billing
from openpyxl import Workbook
from sqlalchemy import text

from billing_core.admin import prompts
from billing_core.admin.definitions.audit import Author
from billing_core.admin.output import CommandError
from billing_core.admin.rates import rates_import
from billing_core.admin.rates.rates_import import Order, import_rates

HEADER = "code,price_per_minute,setup_fee\n"
AUTHOR = Author("tester", "test")


@pytest.fixture
def selling(billing: Billing) -> Billing:
    billing.apply('[[rate_table]]\nname = "Retail"\ncurrency = "EUR"\n')
    return billing


def imported(selling: Billing, lines: str, *options: str) -> Any:
    """Import lines, which are given with spaces between them, and return the document."""
    path = selling.file("rates.csv", HEADER + "\n".join(lines.split()))
    result = selling("rates", "import", "Retail", path, "--yes", "--json", *options)
    assert result.code == 0, result.err
    return result.document


def prices(selling: Billing) -> dict[str, str]:
    """Return the price of each code now."""
    rows = selling.sql(
        "SELECT code, price_per_minute FROM rate WHERE until_import IS NULL"
        " AND coalesce(effective_from <= now(), TRUE) AND coalesce(end_date > now(), TRUE)"
    )
    return {code: str(price) for code, price in rows}


# --- a second look ----------------------------------------------------------------------------------


def test_a_dry_run_shows_and_changes_nothing(selling: Billing) -> None:
    imported(selling, "44,0.02,0")
    before = selling.version()

    document = imported(selling, "44,0.02,0 7,0.05,0", "--dry-run")

    assert (document["new"], document["unchanged"], document["version"]) == (1, 1, None)
    assert (prices(selling), selling.version()) == ({"44": "0.02"}, before)
    assert selling.sql("SELECT count(*) FROM rate_import") == [(1,)]


STRANGE = {
    "44,0.0301,0": "line 2: code 44 goes from 0.02 to 0.0301 (+50%)",
    "44,0.0099,0": "line 2: code 44 goes from 0.02 to 0.0099 (-50%)",
    "44,-0.02,0": "line 2: code 44 goes from 0.02 to -0.02 (-200%)",
    "44,0,0": "line 2: code 44 costs nothing a minute",
    "44,0.02,20.01": "line 2: code 44 has a setup fee of 20.01, more than 1000 minutes",
    "7,0,0": "line 2: code 7 costs nothing a minute",
    "44,0.03,0": None,
    "44,0.01,0": None,
    "44,0.02,20": None,
    "7,-3,0": "line 2: code 7 at -3 a minute pays whoever calls it",
}


@pytest.mark.parametrize("line", STRANGE)
def test_what_looks_like_a_mistake_is_imported_only_with_yes(selling: Billing, line: str) -> None:
    imported(selling, "44,0.02,0")
    path = selling.file("strange.csv", HEADER + line)

    result = selling("rates", "import", "Retail", path)

    warning = STRANGE[line]
    assert result.code == (1 if warning else 0)
    assert result.out.startswith("rate_table Retail: rates ")
    if warning:
        assert f"warning: {warning}\n" in result.err
        assert "give --yes" in result.err
        assert prices(selling) == {"44": "0.02"}
        assert selling("rates", "import", "Retail", path, "--yes").code == 0
        again = selling("rates", "import", "Retail", path, "--json")
        assert (again.code, again.document["warned"]) == (0, 0), "what was confirmed is not asked again"


def test_a_gap_between_two_rates_of_a_code_is_told_b_144(selling: Billing) -> None:
    header = "code,price_per_minute,effective_from,end_date\n"
    lines = "44,1,2030-01-01,2030-02-01\n44,1,2030-03-01,\n7,1,2030-01-01,2030-02-01\n7,1,2030-02-01,\n"

    result = selling("rates", "import", "Retail", selling.file("gap.csv", header + lines))

    assert result.code == 1
    gap = "line 2: code 44 has no price from 2030-02-01T00:00:00Z to 2030-03-01T00:00:00Z"
    assert [line for line in result.err.splitlines() if line.startswith("warning:")] == [f"warning: {gap}"]


def test_a_price_below_what_the_cheapest_vendor_asks_is_told_b_150(selling: Billing) -> None:
    bought = selling.file("bought.csv", "code,price_per_minute\n44,0.02\n7,0.02\n")
    selling.apply(
        f'[[rate_table]]\nname = "Bought"\ncurrency = "EUR"\nrates = "{bought}"\n'
        '[[client]]\nname = "Vendor"\ncurrency = "EUR"\nterm_rate_table = "Bought"\n'
    )

    result = selling("rates", "import", "Retail", selling.file("sold.csv", HEADER + "44,0.019,0\n7,0.02,0\n"))

    assert result.code == 1
    told = "line 2: code 44 is sold at 0.019, but the cheapest vendor asks 0.02"
    assert [line for line in result.err.splitlines() if line.startswith("warning:")] == [f"warning: {told}"]
    assert selling("rates", "import", "Bought", selling.file("dear.csv", HEADER + "44,0.021,0\n")).code == 0


def test_the_size_of_a_jump_can_be_chosen(selling: Billing) -> None:
    imported(selling, "44,0.02,0")
    path = selling.file("jump.csv", HEADER + "44,0.09,0")

    assert selling("rates", "import", "Retail", path, "--jump", "300").code == 1
    assert selling("rates", "import", "Retail", path, "--jump", "400").code == 0


def test_many_warnings_are_counted(selling: Billing) -> None:
    path = selling.file("free.csv", HEADER + "".join(f"{code},0,0\n" for code in range(100, 150)))

    result = selling("rates", "import", "Retail", path)

    assert result.err.count("costs nothing") == 20
    assert "warning: ... and 30 more\n" in result.err


def test_blocked_codes_may_cost_nothing(selling: Billing) -> None:
    path = selling.file("blocked.csv", "code,price_per_minute,blocked\n882,0,true\n")

    assert selling("rates", "import", "Retail", path).code == 0
    assert selling("rates", "lookup", "Retail", "8821", "--json").document["blocked"] is True


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_somebody_at_a_terminal_is_asked(
    selling: Billing, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    path = selling.file("free.csv", HEADER + "44,0,0")
    monkeypatch.setattr("sys.stdin", StringIO(answer))
    monkeypatch.setattr(prompts, "can_ask", lambda output: True)

    result = selling("rates", "import", "Retail", path)

    assert result.code == code
    assert "[y/N]" in result.err
    assert len(prices(selling)) == (1 if code == 0 else 0)


def test_nobody_waits_for_somebody_who_is_asked_and_his_answer_is_for_what_he_saw(selling: Billing) -> None:
    path = Path(selling.file("free.csv", HEADER + "44,0,0"))

    def other_import_first(change: object) -> bool:
        imported(selling, "44,0.02,0")
        return True

    with selling.engine.connect() as connection, pytest.raises(CommandError, match="changed meanwhile"):
        import_rates(connection, Order("Retail", path), AUTHOR, agree=other_import_first)

    assert prices(selling) == {"44": "0.02"}


# --- all or nothing ---------------------------------------------------------------------------------


def test_a_fault_on_the_last_line_leaves_the_old_version(selling: Billing) -> None:
    imported(selling, "44,0.02,0")
    path = selling.file(
        "long.csv", HEADER + "".join(f"{code},1,0\n" for code in range(1000, 9000)) + "44,x,0"
    )

    result = selling("rates", "import", "Retail", path)

    assert (result.code, f"{path}:8002: price_per_minute: " in result.err) == (1, True)
    assert prices(selling) == {"44": "0.02"}
    assert selling.sql("SELECT count(*) FROM rate") == [(1,)]


def test_rates_that_are_there_twice_are_told_with_all_other_faults(selling: Billing) -> None:
    path = selling.file("twice.csv", HEADER + "44,1,0\n7,x,0\n44,2,0\n44,3,0\n")

    result = selling("rates", "import", "Retail", path)

    assert [line.split(":", 1)[1].split(": ")[0] for line in result.err.splitlines()] == ["3", "4", "5"]
    assert f'{path}:5: code: "44" with this effective_from is on line 2 too\n' in result.err


def test_an_import_that_dies_before_the_commit_leaves_the_old_version(
    selling: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(selling, "44,0.02,0")
    path = Path(selling.file("new.csv", HEADER + "44,0.03,0\n7,1,0"))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rates_import, "write_audit", die)
    with selling.engine.connect() as connection, pytest.raises(KeyboardInterrupt):
        import_rates(connection, Order("Retail", path), AUTHOR)
    monkeypatch.undo()

    assert prices(selling) == {"44": "0.02"}
    assert imported(selling, "44,0.03,0")["changed"] == 1, "nothing is left locked"


def test_two_imports_at_once_come_one_after_the_other(selling: Billing) -> None:
    imported(selling, "44,0.02,0")
    path = Path(selling.file("mine.csv", HEADER + "44,0.021,0"))
    document: dict[str, Any] = {}
    blocked = threading.Event()

    def others() -> None:
        blocked.set()
        document.update(imported(selling, "44,0.022,0"))

    other = threading.Thread(target=others)

    def start_other(step: str, part: float | None) -> None:
        if step == "writing":
            other.start()
            blocked.wait()
            with selling.engine.connect() as connection:
                waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
                while other.is_alive() and not connection.execute(waiting).scalar():
                    connection.rollback()

    with selling.engine.connect() as connection:
        first = import_rates(connection, Order("Retail", path), AUTHOR, progress=start_other)
    other.join()

    assert first.version == 2
    assert (document["version"], document["changed"]) == (3, 1)
    assert prices(selling) == {"44": "0.022"}
    ended = selling.sql(
        "SELECT effective_from, end_date FROM rate WHERE price_per_minute = 0.021 AND since_import = 3"
    )
    assert ended[0][0] < ended[0][1], "it held for as long as it was in force"


def test_a_workbook_is_imported_like_a_csv(selling: Billing) -> None:
    workbook = Workbook()
    workbook.active.append(["code", "price_per_minute"])
    workbook.active.append([44, 0.02])
    more = workbook.create_sheet("More")
    more.append(["code", "price_per_minute"])
    more.append([7, 0.05])
    path = selling.directory / "rates.xlsx"
    workbook.save(path)

    selling("rates", "import", "Retail", str(path))
    selling("rates", "import", "Retail", str(path), "--sheet", "More")

    assert prices(selling) == {"44": "0.02", "7": "0.05"}


# --- versions ---------------------------------------------------------------------------------------


@pytest.fixture
def three_versions(selling: Billing) -> Billing:
    imported(selling, "44,0.02,0 7,0.05,0")
    imported(selling, "44,0.03,0 1,0.01,0")
    imported(selling, "44,0.04,0", "--mode", "full")
    return selling


FIRST = {"44": "0.02", "7": "0.05"}
SECOND = {"44": "0.03", "7": "0.05", "1": "0.01"}
THIRD = {"44": "0.04"}


def rolled_back(selling: Billing, *options: str) -> Any:
    result = selling("rates", "rollback", "Retail", *options, "--json")
    assert result.code == 0, result.err
    return result.document


def test_the_history_tells_who_imported_what(three_versions: Billing) -> None:
    newest, *_, oldest = three_versions("rates", "history", "Retail", "--json").document

    assert (newest["version"], newest["mode"], newest["changed"], newest["ended"]) == (3, "full", 1, 2)
    assert (oldest["version"], oldest["new"], oldest["undone_by"]) == (1, 2, None)
    assert oldest["file"].endswith("rates.csv")


def test_each_rollback_undoes_one_more_version(three_versions: Billing) -> None:
    seen = [prices(three_versions)]
    for _ in range(3):
        rolled_back(three_versions)
        seen.append(prices(three_versions))

    assert seen == [THIRD, SECOND, FIRST, {}]
    last = three_versions("rates", "rollback", "Retail")
    assert (last.code, last.err) == (1, 'rate table "Retail" has no version that could be undone\n')


def test_a_rollback_goes_to_any_version_and_forth_again(three_versions: Billing) -> None:
    rolled_back(three_versions, "--to", "1")
    first = prices(three_versions)
    rolled_back(three_versions, "--to", "3")
    third = prices(three_versions)
    rolled_back(three_versions)

    assert (first, third, prices(three_versions)) == (FIRST, THIRD, SECOND)
    history = three_versions("rates", "history", "Retail", "--json").document
    assert {item["version"]: item["undone_by"] for item in history} == {
        1: None,
        2: None,
        3: 6,
        4: 5,
        5: 6,
        6: None,
    }


def test_an_import_after_a_rollback_is_undone_by_itself(three_versions: Billing) -> None:
    rolled_back(three_versions, "--to", "1")
    again = imported(three_versions, "44,0.02,0 7,0.05,0")
    imported(three_versions, "49,0.02,0")
    rolled_back(three_versions)

    assert (again["version"], again["unchanged"]) == (None, 2)
    assert prices(three_versions) == FIRST


def test_a_rollback_is_announced_to_workers_and_audited(three_versions: Billing) -> None:
    document = rolled_back(three_versions)

    assert (document["new"], document["changed"], document["version"]) == (0, 3, 4)
    assert three_versions.sql("SELECT changed_in FROM rate_table") == [(three_versions.version(),)]
    assert three_versions.version() == 5
    assert three_versions.sql("SELECT through FROM audit ORDER BY id DESC LIMIT 1") == [
        ("rates rollback Retail",)
    ]


def test_a_rollback_can_be_tried_first(three_versions: Billing) -> None:
    document = rolled_back(three_versions, "--dry-run", "--to", "1")

    assert (document["changed"], document["ended"], document["version"]) == (2, 1, None)
    assert prices(three_versions) == THIRD


def test_a_version_that_is_not_there_is_told_with_those_that_are(three_versions: Billing) -> None:
    result = three_versions("rates", "rollback", "Retail", "--to", "9")

    assert (result.code, result.err) == (
        1,
        'rate table "Retail" has no version 9; its newest are: 1, 2, 3; 0 is before the first\n',
    )


DEFINITIONS = '[[rate_table]]\nname = "Retail"\ncurrency = "EUR"\nrates = "x.csv"\n'


@pytest.mark.parametrize("price", ["0", "-0.01"])
@pytest.mark.parametrize("before", ["", "7,0.02\n"], ids=["new", "changed"])
def test_a_price_that_gives_calls_away_is_applied_only_with_yes(
    billing: Billing, before: str, price: str
) -> None:
    billing.file("x.csv", f"code,price_per_minute\n44,0.02\n{before}")
    assert billing.apply(DEFINITIONS).code == 0
    known = prices(billing)
    path = billing.file("x.csv", f"code,price_per_minute\n44,0.02\n7,{price}\n")

    dry = billing.apply(DEFINITIONS, "--dry-run")
    refused = billing.apply(DEFINITIONS)

    told = f"{path}:3: price_per_minute: code 7 at {price} a minute; if it is meant: billing apply --yes\n"
    assert (dry.code, refused.code) == (0, 1)
    assert "warning: line 3: code 7 " in dry.err
    assert refused.err == told
    assert prices(billing) == known
    assert billing.apply(DEFINITIONS, "--yes").code == 0
    assert prices(billing) == known | {"7": price}
    assert billing.apply(DEFINITIONS).code == 0, "what was confirmed is not asked again"
    billing.file("x.csv", f"code,price_per_minute\n44,0.021\n7,{price}\n")
    assert billing.apply(DEFINITIONS).code == 0, "it is not asked again when others change either"


def test_many_prices_at_zero_are_named_first_and_counted(billing: Billing) -> None:
    billing.file("x.csv", "code,price_per_minute\n44,0.02\n")
    billing.apply(DEFINITIONS)
    free = "".join(f"{code},0\n" for code in range(100, 150))
    billing.file("x.csv", f"code,price_per_minute\n44,0.09\n{free}")

    refused = billing.apply(DEFINITIONS)

    assert refused.code == 1
    assert refused.err.count("x.csv:") == 20
    assert refused.err.endswith("... and 30 more\n")
    assert "code 44" not in refused.err


@pytest.mark.parametrize(
    ("line", "code"),
    [("7,0,0.10,false", 0), ("7,0,0,true", 0), ("7,0,0,false", 1), ("7,-0.01,0.10,false", 1)],
    ids=["a fee", "blocked", "nothing", "a fee that a long call earns back"],
)
def test_what_gives_no_call_away_is_applied(billing: Billing, line: str, code: int) -> None:
    billing.file("x.csv", f"code,price_per_minute,setup_fee,blocked\n{line}\n")

    assert billing.apply(DEFINITIONS).code == code


def test_applied_rates_files_make_versions_and_only_warn(billing: Billing) -> None:
    for price in ("0.02", "0.09"):
        billing.file("x.csv", f"code,price_per_minute\n44,{price}\n")
        result = billing.apply(DEFINITIONS)

    assert (result.code, result.err) == (0, "warning: line 2: code 44 goes from 0.02 to 0.09 (+350%)\n")
    assert prices(billing) == {"44": "0.09"}
    rolled_back(billing)
    assert prices(billing) == {"44": "0.02"}
