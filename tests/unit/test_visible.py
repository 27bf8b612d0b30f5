"""What a stranger chose steers no terminal and no reader, wherever it is shown."""

import json
import logging
import unicodedata
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
import structlog

from billing_core.admin import csv_export
from billing_core.admin.cli import main as billing
from billing_core.admin.csv_export import STDOUT, export_csv
from billing_core.admin.output import Output, readable
from billing_core.visible import visible, visible_lines
from radiusd import logs
from radiusd.cli import main as radiusd
from radiusd.logs import LineSink

STEERING = {
    "a title of the window": "\x1b]0;pwned\x07",
    "the colour": "\x1b[31m",
    "the same as one character": "\x9b31m",
    "a bell": "\x07",
    "DEL": "\x7f",
    "the way back": "\r",
    "the direction": "\u202etxt.exe",
    "an isolate": "\u2066x\u2069",
    "a line of Unicode": "a\u2028b",
    "half a character": "\ud800",
}


def is_harmless(text: str) -> bool:
    return all(unicodedata.category(character)[0] not in "CZ" or character in " \n" for character in text)


def test_every_character_that_cannot_be_seen_is_an_escape() -> None:
    for number in range(0x110000):
        character = chr(number)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert visible(f"a{character}b").isascii()


def test_what_can_be_seen_stays_as_it_is() -> None:
    text = "J\xfcrgen & S\xf6hne, \u6771\u4eac \U0001f4a9 39061"

    assert visible(text) == text
    assert visible("a\nb") == "a\\nb"
    assert visible_lines("a\x1b\nb") == "a\\x1b\nb"


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_a_table_and_a_sentence_are_harmless(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(is_json=False)
    output.record({"name": text, "list": [text, text]})
    output.records([{"name": text}], ["name"])
    output.say(f"{text} is not known")
    output.error(f"{text} is not known")

    told = capsys.readouterr()
    assert is_harmless(told.out + told.err)
    assert readable(text) in told.out


@pytest.fixture
def console() -> Iterator[StringIO]:
    """Give what a log for people writes."""
    before = structlog.get_config()
    stream = StringIO()
    sink = logs.configure("info", "console", stream)
    yield stream
    sink.flush()
    structlog.configure(**before)


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_a_log_for_people_is_harmless(text: str, console: StringIO) -> None:
    log = structlog.get_logger()
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("request_failed", user=text, calls=[text, {"called": text}], error=OSError(text))
    logging.getLogger().handlers.clear()

    assert eventually_harmless(console)
    assert visible(text) in console.getvalue()


def eventually_harmless(stream: StringIO) -> bool:
    sink: LineSink = structlog.get_config()["logger_factory"]().info.__self__
    sink.flush()
    return is_harmless(stream.getvalue())


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_a_log_for_machines_is_plain_ascii(text: str) -> None:
    line = logs._json({"user": text, "more": "\xfc"})

    assert line.isascii()
    assert is_harmless(line)


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_a_document_for_programs_is_plain_ascii(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(is_json=True)
    output.document({"name": text})
    output.records([{"name": text}], ["name"])

    told = capsys.readouterr().out
    assert told.isascii()
    assert is_harmless(told)
    document, end = json.JSONDecoder().raw_decode(told)
    assert document == {"name": text}
    assert json.loads(told[end:]) == [{"name": text}]


@pytest.mark.parametrize(
    ("main", "command"), [(billing, "verify"), (radiusd, "status")], ids=["billing", "radiusd"]
)
@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_a_wrong_command_line_is_quoted_harmlessly(
    text: str, main: Callable[[list[str]], int], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, f"a{text}"])

    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert is_harmless(told)
    assert f"unrecognized arguments: a{visible_lines(text)}" in told


class Terminal(StringIO):
    """What a program writes to when somebody looks."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_csv_is_harmless_and_shows_line_ends_too_where_somebody_looks(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(stream: StringIO) -> str:
        monkeypatch.setattr(csv_export.sys, "stdout", stream)
        export_csv(STDOUT, [{"user": f"a{text}"}], ["user"], Output(is_json=False))
        return stream.getvalue()

    shown = written(Terminal(newline=""))
    assert is_harmless(shown.replace("\r\n", "\n"))
    assert visible(text) in shown
    assert visible(text, "\r") in written(StringIO(newline=""))
