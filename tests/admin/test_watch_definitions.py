"""`[[watch]]`: applied, compared and audited like every other definition."""

import pytest
from billing_command import Billing

WATCH = """
[[watch]]
name = "fraud"
failed_calls_max = 10
minutes = 30
tags = ["retail"]
"""


def kept(billing: Billing) -> list[tuple[object, ...]]:
    return [
        tuple(row)
        for row in billing.sql(
            "SELECT name, per, spend_max::text, short_calls_max, short_seconds, failed_calls_max, minutes,"
            " block_minutes, clients, tags, enabled FROM watch ORDER BY id"
        )
    ]


def test_a_watch_is_stored_with_its_defaults_and_audited(billing: Billing) -> None:
    result = billing.apply(WATCH)

    assert (result.code, result.out.splitlines()[0]) == (0, "watch fraud: new")
    assert kept(billing) == [("fraud", "account", None, None, None, 10, 30, None, [], ["retail"], True)]
    fields = billing.sql("SELECT field, after FROM audit WHERE object_kind = 'watch' ORDER BY id")
    assert ("failed_calls_max", "10") in [tuple(row) for row in fields]
    assert billing.apply(WATCH).out == "nothing to change\n"


def test_a_watch_is_defined_as_a_whole_so_that_no_old_condition_stays(billing: Billing) -> None:
    billing.apply(WATCH)

    result = billing.apply('[[watch]]\nname = "fraud"\nper = "client"\nspend_max = "20.50"\n')

    assert result.code == 0
    assert "watch fraud: failed_calls_max 10 -> none\n" in result.out
    assert kept(billing) == [("fraud", "client", "20.50", None, None, None, 60, None, [], [], True)]


def test_a_file_of_other_things_leaves_watches_alone(billing: Billing) -> None:
    billing.apply(WATCH)
    before = kept(billing)

    assert billing.apply('[[client]]\nname = "A"\ncurrency = "EUR"\n').code == 0
    assert kept(billing) == before


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("", "1: watch: watches nothing; give it one of spend_max, short_calls_max, failed_calls_max"),
        (
            "failed_calls_max = 1\nspend_max = 5",
            "3: watch.failed_calls_max: stands beside spend_max; keep one",
        ),
        ("short_calls_max = 1", "1: watch.short_seconds: missing; how many seconds make a short call?"),
        (
            "failed_calls_max = 1\nshort_seconds = 5",
            "4: watch.short_seconds: belongs to short_calls_max; remove it",
        ),
        ('spend_max = "-1"', '3: watch.spend_max: "-1" is below zero'),
        ("failed_calls_max = -1", "3: watch.failed_calls_max: -1 is too small; the least is 0"),
        ("failed_calls_max = 1\nminutes = 0", "4: watch.minutes: 0 is too small; the least is 1"),
        ("failed_calls_max = 1\nminutes = 1441", "4: watch.minutes: 1441 is too large; the most is 1440"),
        ('failed_calls_max = 1\nper = "reseller"', '4: watch.per: "reseller"'),
        ('failed_calls_max = 1\nclients = ["Nobody"]', '4: watch.clients: there is no client "Nobody"'),
    ],
)
def test_a_faulty_watch_is_told_by_line_and_nothing_is_stored(
    billing: Billing, lines: str, fault: str
) -> None:
    result = billing.apply(f'[[watch]]\nname = "x"\n{lines}\n')

    assert result.code == 1
    assert fault in result.err
    assert kept(billing) == []


def test_a_watch_may_name_a_client_of_the_same_file_or_of_the_database(billing: Billing) -> None:
    billing.apply('[[client]]\nname = "A"\ncurrency = "EUR"\n', name="first.toml")

    result = billing.apply(
        '[[client]]\nname = "B"\ncurrency = "EUR"\n'
        '[[watch]]\nname = "x"\nfailed_calls_max = 1\nclients = ["A", "B"]\n'
    )

    assert (result.code, kept(billing)[0][8]) == (0, ["A", "B"])
