"""Whoever has no business here is told of: at once, then once a minute, the latest and how many."""

from typing import Any

import pytest

from radiusd import strangers
from radiusd.strangers import Strangers, not_its_port, unknown_address, unknown_certificate


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Give what is written."""
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(
        strangers.log, "warning", lambda event, **facts: written.append({"event": event, **facts}), False
    )
    return written


def test_the_first_is_told_at_once_and_of_the_others_the_latest_once_a_minute(
    lines: list[dict[str, Any]],
) -> None:
    known = Strangers()
    told = []
    for second in range(0, 200, 10):
        if second < 90:
            known.note(unknown_address, (f"192.0.2.{second}", 40_000 + second), 1812)
            known.note(unknown_address, (f"198.51.100.{second}", 1024), 1813)
        known.tell(1000.0 + second)
        told.append(len(lines))

    assert told == [1] * 6 + [2] * 6 + [3] * 8
    assert [(line["source"], line["count"]) for line in lines] == [
        ("198.51.100.0", 2),
        ("198.51.100.60", 12),
        ("198.51.100.80", 4),
    ]
    assert lines[0] == {
        "event": "stranger",
        "source": "198.51.100.0",
        "source_port": 1024,
        "port": 1813,
        "advice": 'if it is a switch of yours, add a [[nas]] with address = "198.51.100.0", and reload',
        "count": 2,
    }


def test_each_kind_of_stranger_has_its_own_cure() -> None:
    source = ("192.0.2.1", 40_000)

    assert unknown_address(source, 1812).advice.startswith("if it is a switch of yours, add a [[nas]]")
    assert not_its_port(source, 11812, "gw2", "gw1").advice == (
        "UDP port 11812 is of NAS gw1 alone: let NAS gw2 send to the shared ports, or its own"
    )
    assert unknown_certificate(source, 2083, ("sbc.example.com", "x")).advice == (
        'if it is a switch of yours, set certificate = "sbc.example.com" in its [[nas]], and its address'
    )
