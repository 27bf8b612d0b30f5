"""The forms in which values are written, for people, for programs and for PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from billing_command import Billing

from billing_core.admin import bulk
from billing_core.admin.output import instant, readable
from billing_core.storage.tables import audit


def test_a_time_is_written_in_utc() -> None:
    moment = datetime(2026, 3, 2, 12, tzinfo=timezone(timedelta(hours=2)))

    assert instant(moment) == "2026-03-02T10:00:00Z"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("1E+3"), "1000"),
        (None, ""),
        (True, "true"),
        (["a", "b"], "a, b"),
        ("a\tb", "a\\tb"),
    ],
)
def test_people_read_plain_values(value: object, text: str) -> None:
    assert readable(value) == text


@pytest.mark.parametrize("text", ["a\tb", "a\nb\r", "back\\slash", "\\N", "", "\\."])
def test_any_text_arrives_as_it_was_sent(billing: Billing, text: str) -> None:
    row = {"at": datetime(2026, 3, 2, tzinfo=UTC), "who": text, "through": "", "object_kind": ""}
    row |= {"object_name": "", "field": "", "before": None, "after": text}

    with billing.engine.begin() as connection:
        bulk.insert(connection, audit, [row, row])

    found = billing.sql("SELECT who, before, after FROM audit")
    assert [tuple(values) for values in found] == [(text, None, text)] * 2


def test_what_ends_the_lines_of_a_bulk_insert_is_told_as_it_is(billing: Billing) -> None:
    def lines() -> Iterator[bytes]:
        yield b"1\n"
        raise MemoryError

    with pytest.raises(MemoryError), billing.engine.begin() as connection:
        bulk.copy(connection, "audit", ["id"], lines())
