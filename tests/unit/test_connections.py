"""Which TLS connection gives way when there are too many."""

from dataclasses import dataclass

import pytest

from radiusd import connections
from radiusd.connections import giving_way


@dataclass(frozen=True)
class Party:
    """A connection as far as the choice knows it."""

    source: tuple[str, int]
    names: tuple[str, ...] = ()
    heard_at: float = 0.0
    has_spoken: bool = False


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful be many."""
    monkeypatch.setattr(connections, "UNKNOWN_MAX", 4)
    monkeypatch.setattr(connections, "UNKNOWN_OF_SOURCE_MAX", 2)
    monkeypatch.setattr(connections, "KNOWN_MAX", 4)


def unknown(source: str, heard_at: float, *, has_spoken: bool = False) -> Party:
    return Party((source, 1), (), heard_at, has_spoken)


def known(name: str, heard_at: float) -> Party:
    return Party(("192.0.2.9", 1), (name, "its common name"), heard_at, True)


def test_while_there_is_room_nobody_goes() -> None:
    parties = [unknown("a", 1), unknown("a", 2), unknown("b", 3), unknown("b", 4)]

    assert giving_way(parties) is None
    assert giving_way([*parties, *(known("partner", at) for at in range(4))]) is None
    assert giving_way([]) is None


def test_an_address_with_too_many_loses_its_oldest() -> None:
    parties = [unknown("b", 0), unknown("a", 1), unknown("a", 2), unknown("a", 3)]

    assert giving_way(parties) == unknown("a", 1)


def test_who_has_said_nothing_goes_before_who_has() -> None:
    shaking = unknown("a", 1, has_spoken=True)

    assert giving_way([shaking, unknown("a", 2), unknown("a", 3)]) == unknown("a", 2)


def test_of_many_addresses_the_one_with_most_loses() -> None:
    parties = [unknown("b", 0), unknown("a", 3), unknown("a", 2), unknown("c", 1), unknown("d", 1)]

    assert giving_way(parties) == unknown("a", 2)


def test_who_has_no_certificate_never_takes_the_place_of_who_has() -> None:
    partners = [known("partner", at) for at in range(4)]
    crowd = [unknown(source, 9) for source in "abcde"]

    loser = giving_way([*partners, *crowd])

    assert loser is not None
    assert not loser.names


def test_the_partner_with_most_loses_its_longest_idle() -> None:
    parties = [known("small", 0), known("large", 5), known("large", 2), known("large", 9), known("new", 10)]

    assert giving_way(parties) == known("large", 2)
