"""How many TLS connections there may be, and which one gives way: nobody keeps others out by holding many.

Those without a certificate have places of their own, so that they never take that of one that has shown one.
Of them whoever has said nothing goes first; of the others the longest idle of the partner that has most.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

UNKNOWN_MAX: Final = 64
"""So many may be shaking hands at once, which takes milliseconds."""
UNKNOWN_OF_SOURCE_MAX: Final = 16
"""So many of them may come from one address."""
KNOWN_MAX: Final = 192
"""So many that have shown a certificate are kept."""
CONNECTIONS_MAX: Final = UNKNOWN_MAX + KNOWN_MAX


class Party(Protocol):
    """What is known of a connection: `names` are of its certificate, empty until it has shown one.

    `heard_at` is when it said something last, or began; `has_spoken` that it has said anything at all.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names in its certificate."""

    @property
    def source(self) -> tuple[str, int]:
        """Return its address and port."""

    @property
    def heard_at(self) -> float:
        """Return when it was last heard."""

    @property
    def has_spoken(self) -> bool:
        """Tell whether it has said anything."""


P = TypeVar("P", bound="Party")


def giving_way(parties: Iterable[P]) -> P | None:
    """Return the one of *parties*, all there are with the newest, that must go; None while there is room."""
    everyone = list(parties)
    unknown = [party for party in everyone if not party.names]
    known = [party for party in everyone if party.names]
    by_source = Counter(party.source[0] for party in unknown)
    if len(unknown) > UNKNOWN_MAX or max(by_source.values(), default=0) > UNKNOWN_OF_SOURCE_MAX:
        [(source, _)] = by_source.most_common(1)
        crowd = [party for party in unknown if party.source[0] == source]
        return min(crowd, key=lambda party: (party.has_spoken, party.heard_at))
    if len(known) > KNOWN_MAX:
        by_partner = Counter(party.names[0] for party in known)
        [(partner, _)] = by_partner.most_common(1)
        return min((p for p in known if p.names[0] == partner), key=lambda party: party.heard_at)
    return None
