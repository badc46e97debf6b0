"""Counters, gauges and times of the service, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""What every scraper reads."""
BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cityscribe_requests_total": ("requests answered, by route and status", ("route", "status")),
    "cityscribe_prompt_tokens_total": ("tokens that were asked, image tokens counted", ()),
    "cityscribe_answer_tokens_total": ("tokens that were answered", ()),
    "cityscribe_batches_total": ("batches that the model answered", ()),
    "cityscribe_model_starts_total": ("times that the model was loaded", ()),
    "cityscribe_decoder_kills_total": ("files whose decoding was ended by force or that ended it", ("why",)),
    "cityscribe_jobs_total": ("clips described, by how it ended", ("status",)),
    "cityscribe_connections_refused_total": ("connections closed before a request, by why", ("why",)),
}
"""Name -> what is counted, and its labels."""

disable_created_metrics()


class ServiceMetrics:
    """What is counted. Labels are of our own making (route templates, statuses): their number is bounded."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, meaning, labels, registry=self._registry)
            for name, (meaning, labels) in COUNTERS.items()
        }
        self._seconds = Histogram(
            "cityscribe_request_seconds",
            "time from a request to the end of its answer",
            ("route",),
            buckets=BUCKETS_S,
            registry=self._registry,
        )

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter of COUNTERS."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def took(self, route: str, seconds: float) -> None:
        """A request to a route has been answered after so many seconds."""
        self._seconds.labels(route=route).observe(seconds)

    def gauge(self, name: str, meaning: str, value_of: Callable[[], float]) -> None:
        """Show a value that is asked for whenever the metrics are read."""
        Gauge(name, meaning, registry=self._registry).set_function(value_of)

    def text(self) -> bytes:
        """All of it, for a scraper."""
        return generate_latest(self._registry)
