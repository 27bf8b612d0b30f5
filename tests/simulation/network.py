"""A network that loses, repeats, delays and so reorders what it carries."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Timer(Protocol):
    """Runs something later, in virtual time."""

    def __call__(self, seconds: float, action: Callable[[], None]) -> None:
        """Run *action* in so many *seconds*."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is: chances of loss and duplication, and the longest delay in seconds."""

    loss: float = 0.0
    duplication: float = 0.0
    delay_seconds: float = 0.0


CALM = Weather()


@dataclass(frozen=True, slots=True)
class Network:
    """Carries messages; what arrives, how often and when is up to chance."""

    chance: random.Random
    later: Timer
    weather: Weather

    def carry(self, deliver: Callable[[], None], sure: bool = False) -> None:
        """Have *deliver* called at the other end: never, once or twice; at once if it must be *sure*."""
        if sure:
            self.later(0, deliver)
            return
        if self.chance.random() < self.weather.loss:
            return
        copies = 2 if self.chance.random() < self.weather.duplication else 1
        for _ in range(copies):
            self.later(self.chance.random() * self.weather.delay_seconds, deliver)
