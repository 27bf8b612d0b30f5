"""The inputs of a target, kept as files that a person can read.

In a `.hex` file each line is one input in hexadecimal, and `#` begins a remark; any other file is one input.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

_REACHED = "reached.hex"


def kept(target: str) -> Iterator[tuple[str, bytes]]:
    """Yield place and octets of every input kept for *target*."""
    for path in sorted((CORPUS / target).iterdir()):
        if path.suffix == ".hex":
            yield from _lines(path)
        else:
            yield path.name, path.read_bytes()


def keep_regression(target: str, octets: bytes, remark: str) -> None:
    """Keep an input that broke a promise, with what was said then."""
    path = CORPUS / target / "regressions.hex"
    before = path.read_text() if path.exists() else "# Inputs that broke a promise once.\n"
    first_line = remark.splitlines()[0] if remark else ""
    path.write_text(f"{before}\n# {first_line}\n{octets.hex()}\n")


def keep_reached(target: str, inputs: Iterable[bytes]) -> None:
    """Keep *inputs* that reached new branches, instead of those kept before."""
    others = {octets for place, octets in kept(target) if not place.startswith(_REACHED)}
    lines = [octets.hex() for octets in inputs if octets not in others]
    head = "# What reached further branches than the seeds; written by `python -m fuzz --keep`.\n"
    (CORPUS / target / _REACHED).write_text(head + "".join(f"{line}\n" for line in lines))


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        digits = line.partition("#")[0].strip()
        if digits:
            yield f"{path.name}:{number}", bytes.fromhex(digits)
