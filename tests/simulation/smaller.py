"""Makes a seed that fails smaller: the fewest and plainest invites that still fail."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

from hostile_world import HostileWorld
from invites import Invite
from truth import faults

PLAIN = {
    "dialogs": 1,
    "by_callee": False,
    "form": "",
    "guesses": 0,
    "only_guesses": False,
    "forwarded_to": "",
    "asks_again_after": None,
    "leaves_prefix_out": False,
    "claimed_ani": "",
    "restamps": (),
}


def smaller(seed: int, check: str) -> tuple[HostileWorld, str]:
    """Return the smallest world found in which that check fails as in the seed's, and what it says."""
    is_calm = check in faults(HostileWorld(seed, is_calm=True))
    script = list(HostileWorld(seed).script)

    def fails(candidate: Sequence[Invite]) -> bool:
        return check in faults(HostileWorld(seed, script=candidate, is_calm=is_calm))

    found = True
    while found:
        found = False
        for candidate in _reduced(script):
            if fails(candidate):
                script, found = candidate, True
                break
    world = HostileWorld(seed, script=script, is_calm=is_calm)
    return world, faults(world)[check]


def _reduced(script: list[Invite]) -> Iterator[list[Invite]]:
    """Give every script that is one step smaller: an invite less, or one thing less about an invite."""
    for index in range(len(script)):
        yield script[:index] + script[index + 1 :]
    for index, invite in enumerate(script):
        for field in fields(invite):
            if field.name in PLAIN and getattr(invite, field.name) != PLAIN[field.name]:
                plain = replace(invite, **{field.name: PLAIN[field.name]})
                yield [*script[:index], plain, *script[index + 1 :]]
        if len(invite.restamps) > 1:
            fewer = replace(invite, restamps=invite.restamps[:1])
            yield [*script[:index], fewer, *script[index + 1 :]]
