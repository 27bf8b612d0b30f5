"""What must be true of a hostile world: the switches' own conversations are compared with the books.

Whatever callers do, every conversation is charged to whoever held it at the price of the number that was
talked to, once. Where a switch's packets cannot tell two dialogs apart, docs/concurrency.md says how far the
books may be off; only there this is lenient. All sums are found by counting, and share nothing with the
program.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from auditor import naive_cost
from bounds import capacity_is_kept, clusters, due, nobody_overspends, shares_its_question, span_end
from calls import VENDOR
from conversation import Attempt, Dialog
from habits import Naming
from hostile_world import HostileWorld
from market import Market
from proxy import Proxy

from billing_core.session import Leg
from billing_core.xdr import Unbillable, Xdr

Charge = tuple[int | None, str, int, Fraction, str]
"""Of a conversation: its client, number, seconds and cost, and why it was not charged."""


def every_call_ends(world: HostileWorld) -> None:
    """The world itself is whole: nobody talks for ever."""
    for switch in world.switches:
        for attempt in switch.attempts:
            assert all(dialog.seconds is not None for dialog in attempt.dialogs), "a call never ended"


def nothing_is_held_but_overruns(world: HostileWorld) -> None:
    """No money and no place is held for ever, but the money of those whom a person must decide on."""
    storage = world.storage
    held = [session for session in storage.sessions.values() if session.state.is_open]
    assert held == [], f"open for ever: {held}"
    assert {(balance.in_use, balance.term_in_use) for balance in storage.balances.values()} == {(0, 0)}
    assert {counter.in_use for counter in storage.counters.values()} <= {0}
    for id, balance in storage.balances.items():
        overruns = [x for x in world.auditor.last_xdrs.values() if x.client_id == id and _is_overrun(x)]
        assert overruns or not balance.reserved, f"{balance.reserved} of client {id} are held for ever"


def _is_overrun(xdr: Xdr) -> bool:
    return xdr.reason is not None and xdr.reason.value == "overrun"


# --- charges --------------------------------------------------------------------------------------------


def every_second_is_charged(world: HostileWorld) -> None:
    """Compare, name by name, who talked to which number for how long with who was charged for what."""
    written: defaultdict[tuple[str, str], list[Xdr]] = defaultdict(list)
    for xdr in world.auditor.last_xdrs.values():
        if xdr.leg is Leg.ORIGINATION:
            written[xdr.nas, xdr.call_id].append(xdr)
        elif xdr.leg is Leg.FURTHER:
            assert not xdr.amount, f"what is not charged was charged: {xdr}"
    for switch in world.switches:
        for call_id, attempts in _by_name(switch).items():
            xdrs = written.pop((switch.name, call_id), [])
            if switch.habits.milliseconds:
                _nothing_is_charged(switch, attempts, xdrs)
            elif switch.habits.naming is Naming.CALL_ID:
                _about_right(world, switch, attempts, xdrs)
            else:
                _exactly_right(world, switch, attempts, xdrs)
    assert not written, f"charged, and nobody talked: {dict(written)}"


def vendors_get_what_is_theirs(world: HostileWorld) -> None:
    """Compare what vendors completed with what they are credited for."""
    for switch in world.switches:
        if switch.habits.milliseconds or not switch.habits.vendors:
            continue
        found = [x for x in world.auditor.last_xdrs.values() if x.nas == switch.name]
        told = [dialog for attempt in switch.attempts for dialog in attempt.dialogs]
        dialogs = [dialog for dialog in told if dialog.seconds]
        charged = _charged(
            [xdr for xdr in found if xdr.leg is Leg.TERMINATION], [d for d in told if d.seconds == 0]
        )
        talked: Tally[Charge] = Tally()
        for dialog in dialogs:
            rate = world.definitions.price(dialog.number, bought=True)
            assert rate is not None
            cost = naive_cost(rate, dialog.seconds or 0)
            talked[VENDOR.id, dialog.number, dialog.seconds or 0, cost, ""] += 1
        assert charged == talked, _told(switch, [], talked, charged)


def _by_name(switch: Proxy) -> dict[str, list[Attempt]]:
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in switch.attempts:
        found[attempt.call_id].append(attempt)
    return found


def _nothing_is_charged(switch: Proxy, attempts: list[Attempt], xdrs: list[Xdr]) -> None:
    """Of a switch that counts in milliseconds nothing can be true, so a person must decide.

    But of several conversations that asked as one all but one were never accepted: nothing bounds them. By
    a Call-ID alone such a Stop may be true of another call that came earlier or later.
    """
    dialogs = [dialog for attempt in attempts for dialog in attempt.dialogs if dialog.seconds]
    told = [xdr for xdr in xdrs if xdr.duration_seconds]
    assert not dialogs or told, f"{dialogs} are forgotten"
    reasons = ("overrun", "implausible_duration")
    held = [xdr for xdr in told if xdr.reason is not None and xdr.reason.value in reasons]
    charged = [xdr for xdr in told if xdr not in held]
    assert not any(xdr.amount for xdr in held), f"charged what cannot be true: {held}"
    is_named = switch.habits.naming is not Naming.CALL_ID
    for client_id in {xdr.client_id for xdr in charged}:
        own = [a for a in attempts if a.invite.client_id == client_id and a.accepted_at is not None]
        mixed = [a for a in own if not is_named or shares_its_question(switch, a)]
        found = [xdr for xdr in charged if xdr.client_id == client_id]
        assert len(found) <= max(0, len(mixed) - 1), f"charged what cannot be true: {found}"


def _exactly_right(world: HostileWorld, switch: Proxy, attempts: list[Attempt], xdrs: list[Xdr]) -> None:
    talked: Tally[Charge] = Tally(
        (dialog.client_id, dialog.number, dialog.seconds, due(world.definitions, dialog), "")
        for attempt in attempts
        for dialog in attempt.dialogs
        if dialog.seconds
    )
    dialogs = [dialog for attempt in attempts for dialog in attempt.dialogs]
    charged = _charged(xdrs, [dialog for dialog in dialogs if dialog.seconds == 0])
    assert charged == talked, _told(switch, attempts, talked, charged)


def _charged(xdrs: list[Xdr], of_no_time: Sequence[Dialog] = ()) -> Tally[Charge]:
    """Return what was charged, and what was not for a reason.

    An answered call *of_no_time* may be told as contradictory: nothing more than its answer is known of it.
    """
    found = Tally(
        (xdr.client_id, xdr.called, xdr.duration_seconds or 0, Fraction(xdr.amount), xdr.reason or "")
        for xdr in xdrs
        if xdr.duration_seconds or xdr.amount or xdr.reason
    )
    return found - Tally(
        (client_id, dialog.number, 0, Fraction(0), Unbillable.CONTRADICTORY_TIME)
        for dialog in of_no_time
        for client_id in (dialog.client_id, VENDOR.id)
    )


def _about_right(world: HostileWorld, switch: Proxy, attempts: list[Attempt], xdrs: list[Xdr]) -> None:
    """Of those whom nothing but their Call-ID names, only calls by one client to one number are mixed up.

    Where the switch rewrites numbers, those by one client are.
    """
    told = _told(switch, attempts, Tally(), _charged(xdrs))
    everything = [(dialog.client_id, dialog.number) for attempt in attempts for dialog in attempt.dialogs]
    charged_keys = {(xdr.client_id, xdr.called) for xdr in xdrs if xdr.amount}
    if switch.habits.rewrites:
        everything = [(client_id, "") for client_id, _ in everything]
        charged_keys = {(client_id, "") for client_id, _ in charged_keys}
    assert charged_keys <= set(everything), (
        f"charged for what nobody talked: {charged_keys - set(everything)}\n{told}"
    )
    for client_id, number in set(everything):
        own = [a for a in attempts if a.invite.client_id == client_id and (not number or number in a.numbers)]
        bounds = [_bounds(world.definitions, switch, cluster, number) for cluster in clusters(own)]
        least = sum((lower for lower, _ in bounds), Fraction(0))
        most = sum((upper for _, upper in bounds), Fraction(0))
        if switch.habits.rewrites:
            # Whatever grant is still held, or was given back, may be the one that is talked on.
            most = _bounds(world.definitions, switch, own, number)[1]
        found = [x for x in xdrs if x.client_id == client_id and (not number or x.called == number)]
        charged = sum((Fraction(xdr.amount) for xdr in found), Fraction(0))
        if any(_is_overrun(xdr) for xdr in found):
            least = Fraction(0)  # Held until a person decides.
        assert least <= charged <= most, (
            f"client {client_id} to {number or 'whomever'}: {float(charged)} charged, "
            f"{float(least)} to {float(most)} is right\n{told}"
        )


def _bounds(market: Market, switch: Proxy, cluster: list[Attempt], number: str) -> tuple[Fraction, Fraction]:
    """Return what conversations that cannot be told apart cost at least and at most.

    At least the dearest of them, or where Stops tell no time, so that another's cannot be told from a copy,
    the cheapest. At most each as much as the longest, at the dearest price that was asked for; and a late
    copy of one's Stop may be taken for another's, unless something in it tells.
    """
    dialogs = [d for attempt in cluster for d in attempt.dialogs if d.number == number or not number]
    if not dialogs:
        return Fraction(0), Fraction(0)
    dearest = max(due(market, dialog) for dialog in dialogs)
    if len(cluster) == 1 and len(dialogs) == 1 and (number or len(cluster[0].numbers) == 1):
        return dearest, dearest
    tells = switch.habits.returns_class or switch.habits.tells_times
    accepted = sum(len(attempt.numbers) for attempt in cluster if attempt.accepted_at is not None)
    times = len(dialogs) if tells else max(len(dialogs), accepted)
    seconds = max(dialog.seconds or 0 for dialog in dialogs)
    least = dearest
    if not switch.habits.tells_seconds and not switch.habits.tells_times:
        least = min(due(market, dialog) for dialog in dialogs)
    if not switch.habits.tells_seconds and len(dialogs) > 1:
        # Between the first Start and the last Stop, as they cannot be paired.
        span = max(dialog.ended_at for dialog in dialogs) - min(dialog.answered_at for dialog in dialogs)
        seconds = ceil(span) + 1
    numbers = (
        {number}
        if number
        else {asked for attempt in cluster for asked in attempt.numbers - attempt.refused or attempt.numbers}
    )
    prices = [rate for rate in map(market.price, numbers) if rate is not None]
    # Which number is the dearest is reckoned for a long call; this one may have been too short for that.
    dearest_by_the_hour = max(prices, key=lambda rate: naive_cost(rate, 3600))
    least = min(least, *(naive_cost(dearest_by_the_hour, dialog.seconds or 0) for dialog in dialogs))
    if not number and len(dialogs) > 1:
        # Nothing tells which Stop is of which number, so that the prices may be exchanged.
        shortest = min(dialog.seconds or 0 for dialog in dialogs)
        least = min(naive_cost(rate, shortest) for rate in prices)
    return least, times * max(naive_cost(rate, seconds) for rate in prices)


def _told(switch: Proxy, attempts: list[Attempt], talked: Tally[Charge], charged: Tally[Charge]) -> str:
    lines = [f"{switch.name}: {switch.habits} {switch.character}"]
    lines += [f"  {attempt.invite} of {attempt.began_at:.1f}-{span_end(attempt):.1f}" for attempt in attempts]
    lines += [
        f"  talked: {d.client_id} to {d.number} {d.seconds} s, {d.answered_at:.1f}-{d.ended_at:.1f}"
        for attempt in attempts
        for d in attempt.dialogs
    ]
    lines += [f"  missing: {_words(charge)} x {times}" for charge, times in (talked - charged).items()]
    lines += [f"  too much: {_words(charge)} x {times}" for charge, times in (charged - talked).items()]
    return "\n".join(lines)


def _words(charge: Charge) -> str:
    client_id, number, seconds, cost, reason = charge
    return f"client {client_id} to {number} {seconds} s for {float(cost):.6f} {reason}"


CHECKS = (
    every_call_ends,
    nothing_is_held_but_overruns,
    every_second_is_charged,
    vendors_get_what_is_theirs,
    capacity_is_kept,
    nobody_overspends,
)


def faults(world: HostileWorld) -> dict[str, str]:
    """Run a world to its end and return what is wrong with it, by the check that found it."""
    try:
        world.run()
    except AssertionError as error:
        return {"run": str(error)}
    found = {}
    for check in CHECKS:
        try:
            check(world)
        except AssertionError as error:
            found[check.__name__] = str(error)
    return found
