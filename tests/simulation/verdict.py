"""What must be true when everything is over: the softswitches' own logs are compared with the books."""

from collections import Counter as Tally
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

from auditor import Auditor, naive_cost
from definitions import VENDOR_ID
from nas import Call, Nas
from shaky_storage import ShakyStorage
from world import World

from billing_core.client import Policy
from billing_core.report import Kind
from billing_core.session import Leg


def judge(world: World) -> None:
    """Compare everything that happened with everything that is written."""
    nothing_is_held(world.storage)
    for switch in world.switches:
        # Where two of our clocks differ by an hour, a Start without a date may be of another call or of this.
        if world.stepped and not switch.character.dated:
            continue
        if switch.character.reuses_ids:
            no_name_is_charged_more_often_than_it_was_used(switch, world.auditor)
            if switch.character.dated and not world.stepped:
                calls_of_one_name_are_charged_each_for_itself(switch, world.auditor)
        else:
            for call in switch.calls:
                a_call_is_charged_once(switch, call, world.auditor)
    if world.orderly:
        nobody_spends_more_than_his_policy_allows(world)


def nothing_is_held(storage: ShakyStorage) -> None:
    """Whatever was lost or died, no money and no place is held for ever."""
    assert [session for session in storage.sessions.values() if session.state.is_open] == []
    assert {(b.reserved, b.in_use, b.term_in_use) for b in storage.balances.values()} == {(Decimal(0), 0, 0)}
    assert {counter.in_use for counter in storage.counters.values()} == {0}


def a_call_is_charged_once(switch: Nas, call: Call, auditor: Auditor) -> None:
    """Whoever told the end of a call was heard, and once."""
    for leg, key in call.legs(switch.name).items():
        charges = [(generation, xdr) for (name, generation), xdr in auditor.last_xdrs.items() if name == key]
        charged = [(generation, xdr) for generation, xdr in charges if xdr.amount]
        assert len(charged) <= 1, f"one call was charged twice: {call}: {charged}"
        stop = call.acknowledged.get((Kind.STOP, leg))
        if stop is None:
            continue
        assert charges, f"an acknowledged Stop was lost: {call}"
        generation, xdr = (charged or charges)[0]
        rate = auditor.rates.get((key, generation))
        due = naive_cost(rate, stop.session_seconds or 0) if rate else Fraction(0)
        sign = 1 if leg is Leg.TERMINATION else -1
        assert Fraction(auditor.charged(key)) == sign * due, f"{call} cost {due}, charged {xdr}"


def no_name_is_charged_more_often_than_it_was_used(switch: Nas, auditor: Auditor) -> None:
    """A switch that reuses ids after a reboot can have its calls told apart, or not, but never multiplied."""
    used = Tally(call.key for call in switch.calls)
    charged = Tally(key for (key, _), xdr in auditor.last_xdrs.items() if xdr.amount)
    multiplied = [call for call in switch.calls if charged[call.key] > used[call.key]]
    assert multiplied == [], "a name was charged more often than it was used"


def calls_of_one_name_are_charged_each_for_itself(switch: Nas, auditor: Auditor) -> None:
    """A call that began when its name was free, and whose name was free again for the next, stands alone."""
    uses: defaultdict[tuple[Leg, bytes], list[Call]] = defaultdict(list)
    for call in switch.calls:
        for leg, key in call.legs(switch.name).items():
            uses[leg, key].append(call)
    for (leg, key), calls in uses.items():
        alone = [
            call
            for call, following in zip(calls, [*calls[1:], None], strict=True)
            if leg in call.apart and (following is None or leg in following.apart)
        ]
        stops = [call.acknowledged.get((Kind.STOP, leg)) for call in alone]
        told = Tally(stop.session_seconds for stop in stops if stop is not None)
        kept = Tally(xdr.duration_seconds for (name, _), xdr in auditor.last_xdrs.items() if name == key)
        assert told <= kept, (
            f"of {switch.name}'s {calls} {told - kept} are not kept as they were told: {kept}"
        )


def nobody_spends_more_than_his_policy_allows(world: World) -> None:
    """Where switches obey and operators only give, only those overspend who reserve nothing."""
    auditor = world.auditor
    for id, client in world.definitions.clients.items():
        if client.postpaid or id == VENDOR_ID:
            continue
        limit = Decimal(0)
        if client.concurrency.policy is Policy.NONE:
            limit = max(0, auditor.peak[id] - 1) * (auditor.income(id) + client.credit)
        assert auditor.worst[id] <= limit, f"{client.name} overspent {auditor.worst[id]}, at most {limit}"
