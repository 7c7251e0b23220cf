"""Prometheus metrics of the server."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter("emocap_requests", "HTTP responses", ("route", "status"), registry=self.registry)
        self.seconds = Histogram(
            "emocap_request_seconds", "Time to the response", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.model_requests = Counter(
            "emocap_model_requests",
            "Requests to the model that were accepted, from REST and the page",
            ("kind",),
            registry=self.registry,
        )
        self.batch = Histogram(
            "emocap_batch_captions", "Captions per forward pass", buckets=SIZES, registry=self.registry
        )
        self.waiting = Gauge("emocap_waiting", "Requests accepted and not yet answered", registry=self.registry)

    def watch(self, accepted: Callable[[], int]) -> None:
        """Read the number of unanswered requests from this function."""
        self.waiting.set_function(accepted)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
