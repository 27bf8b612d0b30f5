"""When garbage is looked for: never among many definitions that are here to stay."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from radiusd.rubbish import Rubbish


class Knot:
    """Something that holds itself."""

    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def _nobody_else_collects() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def many() -> list[list[int]]:
    return [[] for _ in range(60_000)]


def test_what_turns_left_is_collected_even_under_load() -> None:
    knot = ref(Knot())
    litter = many()

    Rubbish().look(is_idle=False, is_growing=False)

    assert knot() is None
    assert len(litter) == 60_000


def test_what_became_garbage_when_it_was_old_is_collected_when_idle() -> None:
    rubbish, knot = Rubbish(), Knot()
    litter = many()
    rubbish.look(is_idle=False, is_growing=False)
    seen = ref(knot)
    del knot
    rubbish.look(is_idle=False, is_growing=False)
    kept_under_load = seen() is not None
    rubbish.look(is_idle=True, is_growing=False)

    assert kept_under_load
    assert seen() is None
    assert len(litter) == 60_000


def test_many_definitions_are_set_aside_once_all_of_them_are_there() -> None:
    rubbish, before = Rubbish(), gc.get_freeze_count()
    clients = many()
    rubbish.look(is_idle=True, is_growing=True)
    meanwhile = gc.get_freeze_count()
    rubbish.look(is_idle=True, is_growing=True)
    still = gc.get_freeze_count()
    rubbish.look(is_idle=True, is_growing=False)

    assert meanwhile == still == before
    assert gc.get_freeze_count() >= before + len(clients)


def test_what_turns_left_is_never_set_aside() -> None:
    rubbish, before = Rubbish(), gc.get_freeze_count()
    litter = many()
    rubbish.look(is_idle=False, is_growing=False)
    rubbish.look(is_idle=True, is_growing=False)

    assert gc.get_freeze_count() == before
    assert len(litter) == 60_000
