"""Telling whoever waits which step of a long work is under way, and which part of it is done."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[str, float | None], None]
"""Is told what is going on, and which part of it is done if that is known."""

_TOLD_EVERY = 1000


def no_progress(step: str, part: float | None) -> None:
    """Tell nobody."""


def followed(items: Iterable[T], count: int, step: str, progress: Progress) -> Iterator[T]:
    """Yield the *items*, of which there are *count*, telling now and then how far it is."""
    for number, item in enumerate(items):
        if number % _TOLD_EVERY == 0:
            progress(step, number / count)
        yield item
