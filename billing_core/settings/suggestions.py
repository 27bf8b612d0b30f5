"""What was probably meant by a word that nobody knows; where two are as likely, neither is preferred."""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

_NAMED_MAX = 3
_KNOWN_MAX = 20
# As difflib has it: less is another word, not a slip.
_ALIKE = 0.6
_WORD_ALIKE = 0.5


def nearest(word: str, words: Iterable[str]) -> str:
    """Return the end of a sentence: which of *words* was probably meant, or which few there are.

    Up to three are named where they are as likely. Whoever takes the hint at 3 a.m. must not hit another
    one: "Customer A" never stands for "Customer B".
    """
    known = sorted(set(words))
    meant = _meant(word.casefold(), known)
    if 0 < len(meant) <= _NAMED_MAX:
        return f"; did you mean {either(meant)}?"
    return f"; known here: {', '.join(known)}" if len(known) <= _KNOWN_MAX else ""


def either(words: Sequence[str]) -> str:
    """Return words in quotes, of which one is to be chosen."""
    *others, last = (f'"{word}"' for word in words)
    return f"{', '.join(others)} or {last}" if others else last


def _meant(word: str, known: Sequence[str]) -> list[str]:
    """Return those that *word*, folded, is but for its case, else those that begin so, else the closest."""
    folded = [(name, name.casefold()) for name in known]
    if same := [name for name, text in folded if text == word]:
        return same
    if longer := [name for name, text in folded if word and text.startswith(word)]:
        return longer
    return _closest(word, folded)


def _closest(word: str, folded: Iterable[tuple[str, str]]) -> list[str]:
    matcher = SequenceMatcher()
    matcher.set_seq2(word)
    best = _ALIKE
    found: list[str] = []
    for name, text in folded:
        matcher.set_seq1(text)
        # The first two are quick, and never less than the third.
        bounds = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)
        if any(bound() < best for bound in bounds) or not _are_alike(word, text):
            continue
        if (alike := matcher.ratio()) > best:
            best, found = alike, []
        found.append(name)
    return found


def _are_alike(word: str, text: str) -> bool:
    """Tell whether no word of the one is wholly another in the other, as the last of "Customer A" and "B"."""
    pairs = zip(word.split(), text.split(), strict=False)
    return all(SequenceMatcher(None, *pair).ratio() >= _WORD_ALIKE for pair in pairs)
