"""How many refusals that name nobody are kept: a scanner's flood must not fill the disk.

Those of a client that we know are all kept, for somebody may ask about them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

import orjson

from billing_core.ports import Refusal

KEPT_A_MINUTE: Final = 60
_MINUTE = timedelta(minutes=1)


class _Minute(NamedTuple):
    begun_at: datetime
    kept: int
    left_out: int


@dataclass(frozen=True, slots=True)
class NamelessRefusals:
    """What was kept and left out in the current minute of each NAS."""

    _minutes: Mapping[str, _Minute] = field(default_factory=dict)

    def bound(self, refusals: Iterable[Refusal], now: datetime) -> tuple[list[Refusal], Self]:
        """Return those of *refusals* that are kept, and what is known after it.

        In each minute of a NAS the first KEPT_A_MINUTE are. The first of a later minute tells how many were
        not, in `left_out` of its facts.
        """
        kept: list[Refusal] = []
        minutes = dict(self._minutes)
        for refusal in refusals:
            if refusal.client_id is not None:
                kept.append(refusal)
                continue
            minute = minutes.get(refusal.nas)
            # A clock that was set back begins a new minute, too.
            if minute is None or not minute.begun_at <= now < minute.begun_at + _MINUTE:
                kept.append(_telling(refusal, minute.left_out if minute else 0))
                minutes[refusal.nas] = _Minute(now, 1, 0)
            elif minute.kept < KEPT_A_MINUTE:
                kept.append(refusal)
                minutes[refusal.nas] = minute._replace(kept=minute.kept + 1)
            else:
                minutes[refusal.nas] = minute._replace(left_out=minute.left_out + 1)
        return kept, type(self)(minutes)


def _telling(refusal: Refusal, left_out: int) -> Refusal:
    if not left_out:
        return refusal
    facts = {**orjson.loads(refusal.facts), "left_out": left_out}
    return refusal._replace(facts=orjson.dumps(facts).decode())
