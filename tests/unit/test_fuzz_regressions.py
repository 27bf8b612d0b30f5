"""Every input that fuzzing keeps is judged again: seeds, what reached new branches, what broke a promise."""

import re
from pathlib import Path

import pytest

from fuzz.inputs import CORPUS, kept
from fuzz.targets import NAMES, check_of, settings
from radiusd import codec, wire
from radiusd.dialects import moments
from radiusd.wire import DropReason

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("target", NAMES)
def test_every_input_ever_kept_breaks_no_promise(target: str) -> None:
    check = check_of(target)
    broken = []
    for place, octets in kept(target):
        try:
            check(octets)
        except Exception as error:  # noqa: BLE001 - all of them are told at once
            broken.append(f"{place}: {type(error).__name__}: {error}")

    assert broken == []


@pytest.mark.parametrize("target", NAMES)
def test_every_target_has_something_to_begin_with(target: str) -> None:
    places = [place for place, _ in kept(target)]

    assert [place for place in places if place.startswith("seed")]


def test_no_kept_input_is_of_a_target_that_is_gone() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(NAMES)


def test_make_fuzz_runs_every_target() -> None:
    [named] = re.findall(r"^TARGETS \?= (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)

    assert named.split() == list(NAMES)


# --- a target that notices nothing would keep every input: each is shown a reader that is broken ------


def broken_inputs(target: str) -> list[str]:
    check, broken = check_of(target), []
    for place, octets in kept(target):
        try:
            check(octets)
        except Exception:  # noqa: BLE001 - which one it is depends on the input
            broken.append(place)
    return broken


def test_the_target_wire_notices_a_frame_that_is_not_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(raw: bytes) -> list[tuple[int, bytes]] | DropReason:
        found = split(raw)
        return found if isinstance(found, DropReason) else found[:5]

    split = wire._split
    monkeypatch.setattr(wire, "_split", careless)

    assert broken_inputs("wire")


def test_the_target_attributes_notices_text_that_no_database_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    check = check_of("attributes")
    nul = bytes((0, 1, 3)) + b"a\0b"

    check(nul)
    monkeypatch.setattr(codec, "text_of", lambda value: value.decode("utf-8", "backslashreplace"))

    with pytest.raises(AssertionError, match="NUL"):
        check(nul)


def test_the_target_dialects_notices_dates_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "_plausible", lambda at, now: at)

    assert any(place.startswith("regressions") for place in broken_inputs("dialects"))


def test_the_target_settings_notices_a_key_whose_line_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "lines_of", lambda text: {(): 1})

    assert broken_inputs("settings")
