"""A caller who chooses its Call-ID calls twice under it, through a real Kamailio and a real Sippy B2BUA."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from dances import BOUGHT, DANCES, PROXY, SCENES, SOLD, Dance, price
from dancing import Money, Played, Stage, played
from kamailio_proxy import kamailio
from served import Daemon
from sippy_b2bua import Sippy, sippy

_VENDOR = "Sippy's vendor"
_LONGEST_SECONDS = 7200


@pytest.fixture(scope="module", params=SCENES, ids=lambda scene: scene.name)
def stage(
    daemon: Daemon,
    tmp_path_factory: pytest.TempPathFactory,
    sippy_callee_port: int,
    request: pytest.FixtureRequest,
) -> Iterator[Stage]:
    """Give a switch that asks the daemon before each call."""
    folder, scene = tmp_path_factory.mktemp("twins"), request.param
    if scene is PROXY:
        with kamailio(daemon, folder, "rfc5090", "WITH_AUTH") as proxy:
            yield Stage(proxy, scene)
    else:
        with sippy(daemon, folder, sippy_callee_port, *scene.options) as b2bua:
            yield Stage(b2bua, scene)


@pytest.fixture(scope="module")
def seen(stage: Stage) -> Played:
    """Give what was seen when all dances were played through it."""
    return played(stage)


@pytest.fixture(params=DANCES, ids=lambda dance: dance.name)
def dance(stage: Stage, request: pytest.FixtureRequest) -> Dance:
    """Give each dance that goes through the switch."""
    if request.param not in stage.scene.dances:
        pytest.skip("nothing that this switch says tells these two calls apart")
    return request.param


def reserved(numbers: list[str]) -> Decimal:
    """Return what is set aside for calls to these numbers: the longest that is allowed, of each."""
    return sum((price(SOLD[number], _LONGEST_SECONDS) for number in numbers), Decimal())


def are_told_apart(stage: Stage, dance: Dance) -> bool:
    """Tell whether the switch's questions tell its two calls apart: Sippy's name no dialog."""
    return dance.twin != dance.number or not isinstance(stage.switch, Sippy)


def test_each_conversation_costs_its_seconds_at_the_price_of_its_number(
    stage: Stage, seen: Played, dance: Dance
) -> None:
    talked = stage.switch.conversations(stage.scene.call_id(dance))
    costs = sorted((number, seconds, price(SOLD[number], seconds)) for number, seconds in talked)

    client = stage.scene.client(dance)
    charged = sorted(
        (xdr["called"], xdr["duration_seconds"], Decimal(xdr["amount"]))
        for xdr in seen.xdrs.get(stage.scene.call_id(dance), ())
        if xdr["client"] == client and xdr["duration_seconds"] != 0
    )

    assert sorted(number for number, _ in talked) == sorted(
        [dance.number, *([dance.twin] if dance.is_twin_answered else [])]
    )
    assert charged == costs
    assert seen.none[client] == Money(-sum((cost for _, _, cost in costs), Decimal()), Decimal(), 0, 0)


def test_each_call_that_is_there_has_its_place_and_its_money(
    stage: Stage, seen: Played, dance: Dance
) -> None:
    both, one = seen.both[stage.scene.client(dance)], seen.one[stage.scene.client(dance)]

    for looked, there in ((both, dance.rings_or_talks), (one, dance.stays)):
        if are_told_apart(stage, dance):
            assert (looked.calls, looked.reserved) == (len(there), reserved(there))
        else:
            # Both have the money of one, which goes back when one of them ends.
            assert looked.reserved in (0, reserved(there[:1]))
            assert 1 <= looked.calls <= len(there)


def test_the_vendor_is_owed_for_every_second_that_was_sent_to_it(stage: Stage, seen: Played) -> None:
    if not isinstance(stage.switch, Sippy):
        pytest.skip("a proxy reports no legs of vendors")
    ids = [stage.scene.call_id(dance) for dance in stage.scene.dances]
    sent = [one for call_id in ids for one in stage.switch.conversations(call_id, "originate")]
    owed = sum((price(BOUGHT[number], seconds) for number, seconds in sent), Decimal())

    assert seen.none[_VENDOR] == Money(seen.before[_VENDOR].live + owed, Decimal(), 0, 0)
    assert seen.both[_VENDOR].sent == sum(1 + dance.is_twin_answered for dance in stage.scene.dances)


def test_the_rules_of_the_money_hold_after_all_twins(stage: Stage, seen: Played) -> None:
    assert stage.switch.daemon.billing("verify")["ok"]
