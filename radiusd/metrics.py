"""What is counted. Labels are the names of NASes and members of our enums, never what a caller sent.

Worker processes count into files that the supervisor reads together, so PROMETHEUS_MULTIPROC_DIR must
be set before this module is imported.
"""

import os
from collections import Counter as Tally
from collections.abc import Iterable
from decimal import Decimal

from prometheus_client import Counter, Histogram, values
from prometheus_client.values import MultiProcessValue

from billing_core.sweep import Swept
from billing_core.xdr import Unbillable, Xdr, XdrState
from radiusd.scratch import SLOT

# Who takes a dead worker's place goes on in its files: there are never more of them than workers.
_identity = os.environ.get(SLOT) or os.getpid()
values.ValueClass = MultiProcessValue(lambda: _identity)  # type: ignore[no-untyped-call]

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The counters of a worker, added to once a turn."""

    def __init__(self) -> None:
        """Register every metric, once in a process."""
        self._requests = Counter("radiusd_requests_total", "Authentic requests received", ["nas", "kind"])
        self._replies = Counter("radiusd_replies_total", "Replies sent", ["nas", "code"])
        self._dropped = Counter("radiusd_dropped_total", "Datagrams without an answer", ["nas", "reason"])
        self._duplicates = Counter("radiusd_duplicates_total", "Repetitions recognised", ["nas", "level"])
        self._denials = Counter("radiusd_denials_total", "Calls refused", ["nas", "reason"])
        self._unknown_records = Counter(
            "radiusd_unknown_records_total", "Records of a kind that is only kept", ["nas", "kind"]
        )
        self._record_numbers = Counter(
            "radiusd_record_numbers_total", "Irregular numbers of a device's records", ["nas", "kind"]
        )
        self._reply_seconds = Histogram(
            "radiusd_reply_seconds", "Time from reading a request to its reply", ["kind"], buckets=_SECONDS
        )
        self._turn_seconds = Histogram("radiusd_turn_seconds", "Time a turn took", buckets=_SECONDS)
        self._turn_requests = Histogram(
            "radiusd_turn_requests", "Requests decided in one turn", buckets=_REQUESTS
        )
        self._xdrs = Counter("billing_xdrs_total", "Finished records written", ["leg", "state"])
        self._charged = Counter(
            "billing_charged_amount_total", "Money charged for legs, on either side", ["leg", "currency"]
        )
        self._rate_misses = Counter("billing_rate_misses_total", "Calls to numbers that no rate covers")
        self._counters = {
            "requests": self._requests,
            "replies": self._replies,
            "dropped": self._dropped,
            "duplicates": self._duplicates,
            "denials": self._denials,
            "unknown_records": self._unknown_records,
            "record_numbers": self._record_numbers,
        }
        self._children: dict[tuple[str, str, str], Counter] = {}
        self._reply_histograms = {
            kind: self._reply_seconds.labels(kind) for kind in ("access", "accounting", "status")
        }

    def turn(self, requests: int, seconds: float) -> None:
        """Count a turn that decided *requests* in *seconds*."""
        self._turn_requests.observe(requests)
        self._turn_seconds.observe(seconds)

    def replied(self, kind: str, seconds: float) -> None:
        """Count how long a reply of that kind took."""
        self._reply_histograms[kind].observe(seconds)

    def add(self, tally: "Tally[tuple[str, str, str]]") -> None:
        """Add counts by (metric, nas, label), as `("requests", "gw1", "access")`."""
        for key, count in tally.items():
            child = self._children.get(key)
            if child is None:
                child = self._children[key] = self._counters[key[0]].labels(key[1], key[2])
            child.inc(count)

    def xdrs(self, settled: Iterable[tuple[Xdr, Decimal]]) -> None:
        """Count finished records, each with what was charged for it beyond earlier revisions."""
        for xdr, charged in settled:
            self._xdrs.labels(xdr.leg.value, xdr.state.value).inc()
            if charged > 0 and xdr.currency:
                self._charged.labels(xdr.leg.value, xdr.currency).inc(float(charged))
            if xdr.state is XdrState.UNBILLABLE and xdr.reason is Unbillable.NO_RATE:
                self._rate_misses.inc()

    def swept(self, swept: Iterable[Swept]) -> None:
        """Count what a sweep closed."""
        self.xdrs((item.xdr, item.xdr.amount) for item in swept if item.xdr is not None)

    def rate_missed(self, calls: int) -> None:
        """Count calls refused because no rate covers the number."""
        self._rate_misses.inc(calls)
