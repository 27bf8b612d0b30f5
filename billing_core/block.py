"""What is barred: numbers, codes, accounts and clients whose calls may not start."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from billing_core.number import normalise


class BlockKind(StrEnum):
    """What the value of a block is: a called or calling number, the begin of a called one, or a name."""

    NUMBER = "number"
    CODE = "code"
    ACCOUNT = "account"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Block:
    """Calls with this `value` may not start before `expires_at`; absent, the block lasts until removed.

    Numbers and codes are compared in the form of `normalise`, accounts by their label, clients by name.
    """

    kind: BlockKind
    value: str
    expires_at: datetime | None = None
    reason: str = ""

    def holds(self, at: datetime) -> bool:
        """Tell whether it bars calls at *at*; the end itself is no longer covered."""
        return self.expires_at is None or at < self.expires_at

    def __str__(self) -> str:
        """Say it as an operator reads it."""
        until = f" until {self.expires_at.isoformat()}" if self.expires_at else ""
        return f"{self.kind.value} {self.value} is blocked{until}{': ' if self.reason else ''}{self.reason}"


_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Blocks:
    """All blocks that are not removed, by kind and value. Empty, it costs a call nothing."""

    found: dict[_Key, Block] = field(default_factory=dict)
    code_length_max: int = 0

    def __bool__(self) -> bool:
        """Tell whether anything is blocked."""
        return bool(self.found)

    def barring(self, keys: Iterable[_Key], called: str, at: datetime) -> Block | None:
        """Return the first block in force of *keys* (kind and value), else of a code of *called*."""
        codes = [called[:length] for length in range(1, min(len(called), self.code_length_max) + 1)]
        for key in (*keys, *((BlockKind.CODE.value, code) for code in codes)):
            block = self.found.get(key)
            if block is not None and block.holds(at):
                return block
        return None


def blocks(rows: Iterable[Block]) -> Blocks:
    """Return *rows*, which may come in any order; of several for one value, the longest counts."""
    found: dict[_Key, Block] = {}
    for block in rows:
        key = (block.kind.value, _comparable(block))
        other = found.get(key)
        if other is None or _lasts_longer(block, other):
            found[key] = block
    codes = (value for kind, value in found if kind == BlockKind.CODE.value)
    return Blocks(found, max(map(len, codes), default=0))


def _comparable(block: Block) -> str:
    is_number = block.kind in (BlockKind.NUMBER, BlockKind.CODE)
    return (normalise(block.value) if is_number else None) or block.value


def _lasts_longer(one: Block, other: Block) -> bool:
    if one.expires_at is None or other.expires_at is None:
        return one.expires_at is None
    return one.expires_at > other.expires_at
