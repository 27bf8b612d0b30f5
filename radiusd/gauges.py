"""What the supervisor itself measures: sums over the database, its workers, and calls it had ended."""

from collections.abc import Iterator, Mapping
from contextlib import closing

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from billing_core.storage.connection import connect
from billing_core.storage.gauges import Gauges, read_gauges
from radiusd.workers import Workers


class SupervisorGauges(Collector):
    """The last measured gauges, and how often a worker was replaced."""

    def __init__(self, workers: Workers, disconnects: Mapping[tuple[str, str], int]) -> None:
        """Measure nothing yet; *disconnects* counts calls that were to be ended, by NAS and outcome."""
        self._workers = workers
        self._disconnects = disconnects
        self._gauges = Gauges()

    def measure(self, url: str) -> None:
        """Ask the database at *url*. Raises StorageDownError."""
        with closing(connect(url, application="radiusd gauges")) as connection:
            self._gauges = read_gauges(connection)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the supervisor."""
        gauges = self._gauges
        yield _gauge("billing_sessions", "Legs under way", gauges.sessions)
        yield _gauge("billing_unbillable", "Records that nobody could be charged for", gauges.unbillable)
        yield _gauge("billing_mails_waiting", "Mails that wait to be sent", gauges.mails_waiting)
        yield _gauge("billing_mails_failed", "Mails that could not be sent", gauges.mails_failed)
        yield _gauge("billing_catalogue_version", "Version of the definitions", gauges.catalogue_version)
        yield _amounts("billing_reserved_amount", "Money set aside for calls", gauges.reserved)
        yield _amounts("billing_held_amount", "Money kept for calls that nobody decided about", gauges.held)
        yield _amounts("billing_overdraft_amount", "Money owed beyond what was allowed", gauges.overdraft)
        restarts = CounterMetricFamily("radiusd_worker_restarts", "Workers that died and were replaced")
        restarts.add_metric([], self._workers.restarts)
        yield restarts
        cut = CounterMetricFamily(
            "radiusd_disconnects", "Calls that a switch was asked to end", None, ["nas", "outcome"]
        )
        for labels, count in dict(self._disconnects).items():
            cut.add_metric(list(labels), count)
        yield cut


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _amounts(name: str, words: str, by_currency: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=["currency"])
    for currency, amount in by_currency.items():
        family.add_metric([currency], amount)
    return family
