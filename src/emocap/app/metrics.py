"""What the server counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter("emocap_requests", "Requests answered", ("route", "status"), registry=self.registry)
        self.seconds = Histogram(
            "emocap_request_seconds", "Time to the answer", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.questions = Counter(
            "emocap_questions", "Questions let in, over REST and from the page", ("kind",), registry=self.registry
        )
        self.batch = Histogram(
            "emocap_batch_captions", "Captions in a pass through the model", buckets=SIZES, registry=self.registry
        )
        self.waiting = Gauge("emocap_waiting", "Questions accepted and not yet answered", registry=self.registry)

    def watch(self, accepted: Callable[[], int]) -> None:
        """Take the number of unanswered questions from here."""
        self.waiting.set_function(accepted)

    def told(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
