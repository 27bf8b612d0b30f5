"""Logs as lines of JSON, or of key=value on a terminal, written without ever holding up a turn.

Lines go into a bounded queue, and a thread writes them out. When whoever reads them is too slow the
queue fills, and further lines are dropped and counted: the service matters more than its story.
"""

import atexit
import json
import logging
import queue
import sys
import threading
from datetime import UTC, datetime
from typing import IO, Any

import orjson
import structlog

from radiusd.config import Log

# Without local variables: among them are passwords and secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

# Each is a turn's lines: some megabytes at most.
_TEXTS_MAX = 500


class LineSink:
    """Writes lines to a stream from a thread of its own; `dropped` counts those that found no room."""

    def __init__(self, stream: IO[str], is_json: bool) -> None:
        """Write to *stream*; *is_json* tells what the lines are."""
        self._stream = stream
        self.is_json = is_json
        self._held: list[str] | None = None
        self._texts: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        self.dropped = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def put(self, line: str) -> None:
        """Take over a line; never waits."""
        if self._held is not None:
            self._held.append(line)
        else:
            self._queue([line])

    def hold(self) -> None:
        """Keep lines back until `release`, so that the thread is woken once a turn and not once a line."""
        self._held = []

    def release(self) -> None:
        """Let go of the lines kept back."""
        if self._held:
            held, self._held = self._held, []
            self._queue(held)

    def flush(self, seconds: float = 1.0) -> None:
        """Wait until all lines taken over so far are written, at most *seconds*."""
        self.release()
        written = threading.Event()
        self._texts.put(written)
        written.wait(seconds)

    def _queue(self, lines: list[str]) -> None:
        if self._texts.qsize() >= _TEXTS_MAX:
            self.dropped += len(lines)
        else:
            self._texts.put("".join(f"{line}\n" for line in lines))

    def _write(self) -> None:
        while True:
            text = self._texts.get()
            if isinstance(text, threading.Event):
                text.set()
                continue
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                self.dropped += text.count("\n")


def timestamp(at: datetime) -> str:
    """Return a time as every line carries it: RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class RequestLog:
    """Writes the one line that each request has; there are many, so JSON lines take the shortest way."""

    def __init__(self, sink: LineSink, settings: Log) -> None:
        """Write into *sink* what *settings* let through."""
        self.sink = sink
        self._is_short = sink.is_json and settings.level in ("debug", "info")
        self._log = structlog.get_logger()

    def write(self, event: str, facts: dict[str, Any], timestamp: str) -> None:
        """Write a line about a request that was answered at *timestamp*."""
        if self._is_short:
            self.sink.put(_json({**facts, "event": event, "level": "info", "timestamp": timestamp}))
        else:
            self._log.info(event, **facts)


class _SinkLogger:
    """What structlog writes to: every level's method takes the finished line."""

    def __init__(self, sink: LineSink) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = sink.put
        self.exception = self.msg = sink.put


def _json(event: object, **_: object) -> str:
    """Write an event on one line for every reader: some take U+2028 and its like for the end of one."""
    line = orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    return line.decode() if line.isascii() else json.dumps(event, default=str)


def configure(level: str, form: str, stream: IO[str] | None = None) -> LineSink:
    """Set up logging for this process; *form* is `json`, `console` or `auto`. Returns the sink."""
    output = stream or sys.stderr
    is_console = form == "console" or (form == "auto" and output.isatty())
    sink = LineSink(output, not is_console)
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=output.isatty())]
        if is_console
        else [_TRACEBACKS, structlog.processors.JSONRenderer(serializer=_json)]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _SinkLogger(sink),
        cache_logger_on_first_use=True,
    )
    atexit.register(sink.flush)
    return sink
