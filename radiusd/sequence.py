"""Which records of a device never came: some devices number theirs, so that a lost one shows as a gap.

What is late closes its gap again. A number far below the last one means that the device began anew.
"""

from collections import Counter as Tally
from collections import OrderedDict, deque
from dataclasses import dataclass, field

MISSING, LATE, RESTARTED = "missing", "late", "restarted"

# A proxy or a repetition brings records out of order by a few, never by so many.
_WINDOW = 1000
_DEVICES_MAX = 1000


@dataclass(slots=True)
class _Device:
    last: int
    awaited: deque[int] = field(default_factory=lambda: deque(maxlen=_WINDOW))


class Sequences:
    """The last number of each device of each NAS."""

    def __init__(self) -> None:
        """Know no device yet: the first number of each is where its count begins."""
        self._devices: OrderedDict[tuple[str, str], _Device] = OrderedDict()

    def note(self, nas: str, device: str, number: int) -> "Tally[str]":
        """Take note of a record's *number*; return how many are newly missing, late, or begun anew."""
        key = nas, device
        known = self._devices.get(key)
        if known is None:
            self._devices[key] = _Device(number)
            if len(self._devices) > _DEVICES_MAX:
                self._devices.popitem(last=False)
            return Tally()
        self._devices.move_to_end(key)
        return _note(known, number)


def _note(device: _Device, number: int) -> "Tally[str]":
    ahead = number - device.last
    if abs(ahead) > _WINDOW:
        device.last = number
        device.awaited.clear()
        return Tally((RESTARTED,))
    if ahead > 0:
        device.awaited.extend(range(device.last + 1, number))
        device.last = number
        return Tally({MISSING: ahead - 1}) if ahead > 1 else Tally()
    if number in device.awaited:
        device.awaited.remove(number)
        return Tally((LATE,))
    return Tally()
