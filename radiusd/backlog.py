"""What waits for a worker's turn: who comes next, who has waited too long, and who gives way when it is full.

Nothing here is known to be genuine: that costs a digest, which only those pay that come to their turn.

Records come before questions, for they are money, and those that end a call before others, for they free a
place. Each NAS gets its share. Of questions the newest comes first: while all that waits fits into a turn
that makes no difference, and beyond it the oldest are those whose switch is about to give up.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final, NamedTuple

from radiusd.intake import Door
from radiusd.nas import Nas
from radiusd.sockets import Datagram
from radiusd.wire import HEADER_OCTETS, Code, DropReason, Port

QUESTIONS_SHARE: Final = 4
"""One of so many places in a turn is kept for questions, however many records wait."""

_STATUS_SERVER = bytes([Code.STATUS_SERVER])
_ACCT_STATUS_TYPE, _STOP = 40, (2).to_bytes(4)


class Arrival(NamedTuple):
    """A datagram of *nas* that came to *port* `at` that moment of the monotonic clock."""

    nas: Nas
    door: Door
    descriptor: int
    port: Port
    datagram: Datagram
    at: float


class Urgency(Enum):
    """What a packet seems to be; arrivals come to their turn in this order."""

    PING = "ping"
    END = "end"
    RECORD = "record"
    QUESTION = "question"


_ROOM: Final[Mapping[Urgency, int]] = {
    Urgency.PING: 256,
    Urgency.END: 16_384,
    Urgency.RECORD: 16_384,
    Urgency.QUESTION: 8_192,
}
"""So many of them may wait in a worker."""


def urgency(octets: bytes, port: Port) -> Urgency:
    """Return how urgent a packet says it is."""
    if octets[:1] == _STATUS_SERVER:
        return Urgency.PING
    if port is Port.AUTHENTICATION:
        return Urgency.QUESTION
    return Urgency.END if _is_stop(octets) else Urgency.RECORD


def _is_stop(octets: bytes) -> bool:
    place = HEADER_OCTETS
    while place + 1 < len(octets):
        if octets[place] == _ACCT_STATUS_TYPE:
            return octets[place + 2 : place + 6] == _STOP
        place += max(2, octets[place + 1])
    return False


class Backlog:
    """All that waits, bounded in number."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting = {
            each: _Queues(room, newest_first=each is Urgency.QUESTION) for each, room in _ROOM.items()
        }

    def __len__(self) -> int:
        """Return how many wait."""
        return sum(queues.count for queues in self._waiting.values())

    def put(self, arrival: Arrival) -> bool:
        """Take in *arrival*; return False where it repeats one that waits."""
        return self._waiting[urgency(arrival.datagram.octets, arrival.port)].put(arrival)

    def give_up(self, now: float) -> Iterator[tuple[Arrival, DropReason]]:
        """Remove and yield what can't be served: questions that waited longer than their switch does, first.

        Then what is too much, of the NAS that has most of it.
        """
        for arrival in self._waiting[Urgency.QUESTION].stale(now):
            yield arrival, DropReason.STALE
        for queues in self._waiting.values():
            for arrival in queues.surplus():
                yield arrival, DropReason.OVERLOAD

    def take(self, places: int) -> list[Arrival]:
        """Remove those whose turn it is, and return them in the order in which they came.

        Pings need no place in a transaction, so they take none.
        """
        questions = self._waiting[Urgency.QUESTION]
        left = places - min(questions.count, places // QUESTIONS_SHARE)
        ended = self._waiting[Urgency.END].take(left)
        others = self._waiting[Urgency.RECORD].take(left - len(ended))
        asked = questions.take(places - len(ended) - len(others))
        pings = self._waiting[Urgency.PING].take(_ROOM[Urgency.PING])
        return sorted([*pings, *ended, *others, *asked], key=lambda arrival: arrival.at)


class _Queues:
    """Arrivals of one urgency: a queue for each NAS, of which one after the other is served."""

    def __init__(self, room: int, *, newest_first: bool) -> None:
        self.count = 0
        self._room = room
        self._newest_first = newest_first
        self._queues: OrderedDict[str, OrderedDict[tuple[object, ...], Arrival]] = OrderedDict()

    def put(self, arrival: Arrival) -> bool:
        name, datagram = arrival.nas.name, arrival.datagram
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = OrderedDict()
        key = (datagram.source, arrival.descriptor, datagram.octets)
        # Of a packet and its repetition the later one is kept, for which the switch will wait longer. Where
        # the oldest come first it takes the place of the earlier, so that repeating never puts one off.
        copy = queue.pop(key, None) if self._newest_first else queue.get(key)
        queue[key] = arrival
        self.count += copy is None
        return copy is None

    def take(self, places: int) -> list[Arrival]:
        taken: list[Arrival] = []
        while len(taken) < places and self._queues:
            name = next(iter(self._queues))
            self._queues.move_to_end(name)
            taken.append(self._pop(name, last=self._newest_first))
        return taken

    def stale(self, now: float) -> Iterator[Arrival]:
        for name in list(self._queues):
            while queue := self._queues.get(name):
                oldest = next(iter(queue.values()))
                if now - oldest.at <= oldest.nas.patience_seconds:
                    break
                yield self._pop(name, last=False)

    def surplus(self) -> Iterator[Arrival]:
        """Remove and yield what would come last, always of the NAS that has most waiting."""
        while self.count > self._room:
            name = max(self._queues, key=lambda name: len(self._queues[name]))
            yield self._pop(name, last=not self._newest_first)

    def _pop(self, name: str, *, last: bool) -> Arrival:
        queue = self._queues[name]
        _, arrival = queue.popitem(last=last)
        if not queue:
            del self._queues[name]
        self.count -= 1
        return arrival
