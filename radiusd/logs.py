"""Logs as lines of JSON, or of key=value on a terminal, written without ever holding up a turn.

Lines go into a bounded queue, and a thread writes them out. When whoever reads them is too slow the
queue fills, and further lines are dropped and counted: the service matters more than its story.
"""

import atexit
import json
import logging
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import IO, Any

import orjson
import structlog

from billing_core.visible import plain_json, visible, visible_lines
from radiusd.config import Log

# Without local variables: among them are passwords and secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

# Some ten megabytes.
_LINES_MAX = 20_000
# Lines wait this long for company: a thread that woke for each would fight the turn for the interpreter.
_WRITE_SECONDS = 0.05


class LineSink:
    """Writes lines to a stream from a thread of its own; `dropped` counts those that found no room."""

    def __init__(self, stream: IO[str], is_json: bool) -> None:
        """Write to *stream*; *is_json* tells what the lines are."""
        self._stream = stream
        self.is_json = is_json
        self._lines: deque[str | threading.Event] = deque()
        self._hurry = threading.Event()
        self.dropped = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: str) -> None:
        """Take over a line; never waits."""
        if len(self._lines) >= _LINES_MAX:
            self.dropped += 1
        else:
            self._lines.append(line)

    def flush(self, seconds: float = 1.0) -> None:
        """Wait until all lines taken over so far are written, at most *seconds*."""
        written = threading.Event()
        self._lines.append(written)
        self._hurry.set()
        written.wait(seconds)

    def _run(self) -> None:
        while True:
            self._hurry.wait(_WRITE_SECONDS)
            self._hurry.clear()
            self._write_all()

    def _write_all(self) -> None:
        taken = [self._lines.popleft() for _ in range(len(self._lines))]
        lines = [line for line in taken if isinstance(line, str)]
        try:
            if lines:
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()
        except (OSError, ValueError):
            self.dropped += len(lines)
        for written in taken:
            if isinstance(written, threading.Event):
                written.set()


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
    try:
        line = orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # Half a character, which only the slower one can write.
        line = b"\xff"
    return plain_json(line.decode() if line.isascii() else json.dumps(event, default=str))


def _seen(_: object, __: str, event: Any) -> Any:
    """Make visible what goes to a terminal; a traceback has lines of its own."""
    return {key: _visible_value(value, key == "exception") for key, value in event.items()}


def _visible_value(value: object, has_lines: bool = False) -> object:
    match value:
        case str():
            return visible_lines(value) if has_lines else visible(value)
        case list() | tuple():
            return [_visible_value(item) for item in value]
        case dict():
            return {key: _visible_value(item) for key, item in value.items()}
        case int() | float() | None:
            return value
        case _:
            return visible(str(value))


def configure(level: str, form: str, stream: IO[str] | None = None) -> LineSink:
    """Set up logging for this process; *form* is `json`, `console` or `auto`. Returns the sink."""
    output = stream or sys.stderr
    is_console = form == "console" or (form == "auto" and output.isatty())
    sink = LineSink(output, not is_console)
    renderers: list[Any] = (
        [
            structlog.processors.format_exc_info,
            _seen,
            structlog.dev.ConsoleRenderer(colors=output.isatty()),
        ]
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
