"""Cycles of garbage: when a worker looks for them, so that no turn waits for it."""

import gc

_YOUNG_OBJECTS_MAX = 50_000


class Rubbish:
    """Looks among what recent turns left, and among everything only when there is time.

    Many new definitions are here to stay: once they are all there, they are never looked at again. A look
    at a hundred thousand clients takes a tenth of a second, in which nobody is answered.
    """

    def __init__(self) -> None:
        """Begin with nothing to look at; the search that Python itself makes must be off."""
        self._is_littered = False
        self._has_grown = False

    def look(self, *, is_idle: bool, is_growing: bool) -> None:
        """Collect garbage, if it is time; *is_growing* while definitions are being taken over."""
        if gc.get_count()[0] > _YOUNG_OBJECTS_MAX:
            gc.collect(1)
            self._is_littered = True
            self._has_grown |= is_growing
        elif self._is_littered and is_idle and not is_growing:
            if self._has_grown:
                gc.freeze()
            gc.collect()
            self._is_littered = self._has_grown = False
