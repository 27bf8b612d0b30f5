"""Programs that look again and again until they are told to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """Give an event that is set by TERM or INT, which end nothing by themselves meanwhile."""
    stopping = threading.Event()
    before = {name: signal.signal(name, lambda *_: stopping.set()) for name in _SIGNALS}
    try:
        yield stopping
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
