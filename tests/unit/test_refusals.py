"""A flood of refusals that name nobody is counted; none of a known client is left out."""

from datetime import UTC, datetime, timedelta

import orjson

from billing_core.denial import Denial
from billing_core.ports import Refusal
from billing_core.refusals import KEPT_A_MINUTE, NamelessRefusals

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MANY = KEPT_A_MINUTE + 40


def refusals(many: int, nas: str = "gw", client_id: int | None = None) -> list[Refusal]:
    return [
        Refusal(
            NOON, nas, bytes([number]), f"call {number}", "", client_id, None, "", "44",
            Denial.UNKNOWN_ACCOUNT, '{"name":"x","at":"2026-11-23T12:00:00Z"}',
        )
        for number in range(many)
    ]  # fmt: skip


def test_the_first_of_a_minute_are_kept_and_the_next_minute_tells_of_the_others() -> None:
    known = NamelessRefusals()
    first = refusals(MANY)

    kept, known = known.bound(first, NOON)
    none, known = known.bound(refusals(5), NOON + timedelta(seconds=59))
    [later, plain], known = known.bound(refusals(2), NOON + timedelta(seconds=60))

    assert kept == first[:KEPT_A_MINUTE]
    assert none == []
    assert orjson.loads(later.facts) == {"name": "x", "at": "2026-11-23T12:00:00Z", "left_out": 45}
    assert plain == refusals(2)[1]
    assert known.bound(refusals(1), NOON + timedelta(hours=1))[0] == refusals(1)


def test_those_of_a_known_client_are_all_kept_in_their_order() -> None:
    mixed = [*refusals(MANY), *refusals(MANY, client_id=7), *refusals(MANY)]

    kept, known = NamelessRefusals().bound(mixed, NOON)

    assert [refusal for refusal in kept if refusal.client_id == 7] == refusals(MANY, client_id=7)
    assert kept[:KEPT_A_MINUTE] == refusals(KEPT_A_MINUTE)
    assert len(kept) == KEPT_A_MINUTE + MANY
    assert len(known.bound(refusals(3, client_id=7), NOON)[0]) == 3


def test_each_nas_has_a_bound_of_its_own() -> None:
    kept, _ = NamelessRefusals().bound([*refusals(MANY), *refusals(3, nas="other")], NOON)

    assert kept[KEPT_A_MINUTE:] == refusals(3, nas="other")


def test_a_clock_that_was_set_back_begins_a_new_minute() -> None:
    _, known = NamelessRefusals().bound(refusals(MANY), NOON)

    assert len(known.bound(refusals(2), NOON - timedelta(hours=1))[0]) == 2
