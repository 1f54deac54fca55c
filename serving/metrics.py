"""What the server counts, in Prometheus' base units and with bounded labels."""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from serving.predictor import Predictor

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TOKEN_BUCKETS = (8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The server's metrics, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "tuneship_requests", "Prediction requests, by HTTP status.", ["status"], registry=registry
        )
        self.seconds = Histogram(
            "tuneship_request_duration_seconds", "From body read to answer ready.", buckets=LATENCY_BUCKETS,
            registry=registry,
        )  # fmt: skip
        self.inputs = Counter("tuneship_inputs", "Inputs answered.", registry=registry)
        self.outcomes = Counter("tuneship_outcomes", "Labels answered.", ["label"], registry=registry)
        self.tokens = Histogram(
            "tuneship_text_tokens", "Tokens of an input, after truncation.", buckets=TOKEN_BUCKETS, registry=registry
        )
        self.queue = Gauge(
            "tuneship_queue_depth", "Windows that wait for the engine.", multiprocess_mode="livesum", registry=registry
        )
        self._bundle = Gauge(
            "tuneship_bundle_info", "Always 1; its labels tell which bundle answers.", ["name", "variant", "digest"],
            multiprocess_mode="livemax", registry=registry,
        )  # fmt: skip
        self._fallback = Gauge(
            "tuneship_fallback", "1 where the bundle's preferred variant does not answer on this machine, else 0.",
            ["name", "preferred", "variant"], multiprocess_mode="livemax", registry=registry,
        )  # fmt: skip

    def serves(self, predictor: Predictor) -> None:
        """Record which bundle answers, and by which of its variants."""
        manifest, choice = predictor.manifest, predictor.choice
        self._bundle.labels(manifest.name, choice.served, manifest.digest).set(1)
        self._fallback.labels(manifest.name, choice.preferred, choice.served).set(choice.served != choice.preferred)

    def render(self) -> bytes:
        """The exposition text; with several workers, of all of them together."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)
