"""What the supervisor reads and its workers are given: settings, secrets and keys, of files not all may read.

It is kept in memory that all workers share, so that one that takes a dead one's place finds it there, too.
"""

import os
import pickle
import struct
from typing import NamedTuple

from radiusd.config import Config
from radiusd.tls_files import TlsFiles

_PLACE = struct.Struct("=QQ")


class Handed(NamedTuple):
    """All that a worker is given; `tls` is None without a certificate."""

    settings: Config
    tls: TlsFiles | None


class Handover:
    """The memory in which it is kept: `put` by the supervisor, `taken` by workers at any time."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Open what the supervisor handed on as *descriptor*, or make a new one."""
        self.descriptor = os.memfd_create("radiusd-settings") if descriptor is None else descriptor
        self._end = _PLACE.size

    def put(self, handed: Handed) -> None:
        """Keep *handed* from now on."""
        octets = pickle.dumps(handed)
        os.pwrite(self.descriptor, octets, self._end)
        # Whoever reads meanwhile reads the earlier one, which is still whole.
        os.pwrite(self.descriptor, _PLACE.pack(self._end, len(octets)), 0)
        self._end += len(octets)

    def taken(self) -> Handed:
        """Return what was put last. Its octets come from our own supervisor, so they may be unpickled."""
        place, length = _PLACE.unpack(os.pread(self.descriptor, _PLACE.size, 0))
        handed: Handed = pickle.loads(os.pread(self.descriptor, length, place))
        return handed
