"""What a response to a challenge of ours was used for: it serves one call (RFC 2617 section 3.2.2). Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

KEPT = timedelta(seconds=60)
"""So long a use is kept: a nonce lasts half of that, but daemons' clocks differ and questions may wait."""

ProofId = tuple[int, bytes]
"""A client, and what its caller answered and how many times: 16 octets."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The use of a proof for the call of that name, and for its leg `generation`.

    None is no leg: a question that asked for no call, or that was refused before its leg was looked for.
    """

    client_id: int
    use: bytes
    leg_key: bytes
    generation: int | None
    used_at: datetime

    @property
    def id(self) -> ProofId:
        """Return what no other proof has."""
        return self.client_id, self.use

    def is_of_one_call(self, other: "Proof") -> bool:
        """Tell whether both uses may be of one call. Of another dialog of its name there is another leg."""
        legs = {self.generation, other.generation} - {None}
        return self.leg_key == other.leg_key and len(legs) <= 1
