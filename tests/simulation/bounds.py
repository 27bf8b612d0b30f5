"""How many may talk at once in a hostile world, and how far a client may fall below what it has.

Both by the conversations that took place, not by the server's legs; docs/concurrency.md states the bounds.
"""

from fractions import Fraction

from auditor import naive_cost
from conversation import Attempt, Dialog
from habits import Naming
from hostile_world import HostileWorld
from market import Market
from proxy import Proxy
from world import LIMITS

from billing_core.client import Policy

SLACK_SECONDS = 20.0
"""Packets are lost and sent again for so long: when the server hears of something is not known better."""


def due(market: Market, dialog: Dialog) -> Fraction:
    """Return what a conversation costs."""
    rate = market.price(dialog.number)
    assert rate is not None, f"nobody can talk to {dialog.number}"
    return naive_cost(rate, dialog.seconds or 0)


def clusters(attempts: list[Attempt]) -> list[list[Attempt]]:
    """Return attempts in groups whose packets were under way at the same time."""
    found: list[list[Attempt]] = []
    until = 0.0
    for attempt in sorted(attempts, key=lambda attempt: attempt.began_at):
        if found and attempt.began_at <= until:
            found[-1].append(attempt)
        else:
            found.append([attempt])
        until = max(until, span_end(attempt))
    return found


def span_end(attempt: Attempt) -> float:
    """Return when the last packet of an attempt can have been under way."""
    return max([attempt.quiet_at, *(dialog.ended_at for dialog in attempt.dialogs)])


def capacity_is_kept(world: HostileWorld) -> None:
    """Of conversations that were let start, and whose places were not given back, no more than may be."""
    for id, client in world.definitions.clients.items():
        limits = [client.capacity, *(account.capacity for account in world.definitions.accounts[id])]
        limit = min((capacity for capacity in limits if capacity is not None), default=None)
        if limit is None:
            continue
        talks = [d for d in _conversations(world, id) if is_guarded(world, d)]
        for moment in [dialog.answered_at for dialog in talks]:
            at_once = [d for d in talks if d.answered_at <= moment < d.ended_at]
            assert len(at_once) <= limit, f"client {id} may have {limit} and has {_listed(at_once)}"


def nobody_overspends(world: HostileWorld) -> None:
    """Whoever reserves falls no lower than by what talked without money held, or longer than it was held."""
    for id, client in world.definitions.clients.items():
        talks = _conversations(world, id)
        if client.postpaid or not talks:
            continue
        unguarded = [dialog for dialog in talks if not is_guarded(world, dialog)]
        bound = sum((_dearest_due(world, dialog) for dialog in unguarded), Fraction(0))
        if client.concurrency.policy is Policy.NONE:
            wealth = Fraction(world.auditor.income(id) + client.credit)
            bound += max(0, _most_at_once(talks) - 1) * wealth
        worst = Fraction(world.auditor.worst[id])
        assert worst <= bound, (
            f"client {id} ({client.concurrency.policy}) overspent {float(worst)}, at most {float(bound)}; "
            f"{_listed(talks)}"
        )


def _dearest_due(world: HostileWorld, dialog: Dialog) -> Fraction:
    """Return what a conversation may be charged at most.

    Where records name no number, at another's price; where they count milliseconds, what nothing bounds.
    """
    switch = _switch_of(world, dialog)
    if switch.habits.milliseconds:
        return 1000 * due(world.definitions, dialog)
    if not switch.habits.rewrites:
        return due(world.definitions, dialog)
    named = [other for other in switch.attempts if other.call_id == dialog.attempt.call_id]
    numbers = {number for other in named for number in other.numbers}
    prices = [rate for rate in map(world.definitions.price, numbers) if rate is not None]
    return max(naive_cost(rate, dialog.seconds or 0) for rate in prices)


def _switch_of(world: HostileWorld, dialog: Dialog) -> Proxy:
    return next(switch for switch in world.switches if switch.name == dialog.attempt.nas)


def is_guarded(world: HostileWorld, dialog: Dialog) -> bool:
    """Tell whether money and a place of its own must be held for a conversation as long as it lasts.

    They are not where a question cannot be told from another's, for the second dialog of a fork, and after a
    grant was given back: it rang too long, or was not heard of for too long.
    """
    attempt, switch = dialog.attempt, _switch_of(world, dialog)
    return (
        len(attempt.dialogs) == 1
        and not shares_its_question(switch, attempt)
        and not _was_released(switch, dialog)
    )


def shares_its_question(switch: Proxy, attempt: Attempt) -> bool:
    naming = switch.habits.naming
    if naming in (Naming.SESSION, Naming.GUID):
        return False
    if switch.habits.rewrites and len(attempt.numbers) > 1:
        return True  # It was forwarded: nothing tells of which of its two grants a record is.
    # Whose records name no number cannot be told from another of the same client's, though asked for apart.
    for other in switch.attempts:
        same = other.call_id == attempt.call_id and other.invite.client_id == attempt.invite.client_id
        if other is attempt or not same:
            continue
        if naming is Naming.TAGS and other.invite.from_tag != attempt.invite.from_tag:
            continue
        names_numbers = naming is not Naming.TAGS and not switch.habits.rewrites
        if names_numbers and not other.numbers & attempt.numbers:
            continue
        if other.began_at <= span_end(attempt) and attempt.began_at <= span_end(other):
            return True
    return False


def _was_released(switch: Proxy, dialog: Dialog) -> bool:
    attempt, habits = dialog.attempt, switch.habits
    assert attempt.accepted_at is not None
    patience = float(attempt.granted_seconds + LIMITS.silence_margin_seconds)
    heard_after = dialog.answered_at - attempt.accepted_at
    if switch.character.sends_start:
        patience = min(patience, LIMITS.start_timeout_seconds)
    else:
        interval = switch.character.interim_seconds
        heard_after += min(dialog.seconds or 0, interval or 10**9)
    if habits.unheard_seconds is not None:
        patience = min(patience, habits.unheard_seconds)
    return heard_after + SLACK_SECONDS > patience


def _conversations(world: HostileWorld, client_id: int) -> list[Dialog]:
    return [
        dialog
        for switch in world.switches
        for attempt in switch.attempts
        for dialog in attempt.dialogs
        if dialog.client_id == client_id and dialog.seconds
    ]


def _most_at_once(dialogs: list[Dialog]) -> int:
    """Return how many were let start and had not ended yet, at most."""
    spans = [(dialog.attempt.began_at, span_end(dialog.attempt)) for dialog in dialogs]
    return max(sum(began <= moment <= ended for began, ended in spans) for moment, _ in spans)


def _listed(dialogs: list[Dialog]) -> str:
    return "".join(
        f"\n  {d.attempt.nas} {d.attempt.call_id} {d.attempt.invite.from_tag} to {d.number} "
        f"{d.answered_at:.1f}-{d.ended_at:.1f}"
        for d in dialogs
    )
