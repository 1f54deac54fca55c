"""What the server counts: Prometheus metrics in base units, with labels whose values no caller can choose.

Children are bound once, not looked up for each request. docs/metrics.md lists them all.
"""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

from serving.bundle import Bundle
from serving.counting import Count, Counter, Distribution, Gauge, Histogram
from serving.drift import DISTRIBUTIONS
from serving.model_metrics import ModelMetrics
from serving.predictor import Predictor

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128)
SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

Reason = Literal["limit", "slow_head", "large_head", "malformed", "slow_reader"]
"""Why the server ends a connection, see `serving.connections`."""


class Metrics:
    """The server's metrics, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "tuneship_requests", "Requests answered, by what they asked for.", "model", "method", "route", "status"
        )
        self._seconds = self._histogram(
            "tuneship_request_duration_seconds", "From a request's head to its answer's end.", SECONDS, "model", "route"
        )
        self.inputs = self._counter("tuneship_inputs", "Inputs answered.", "model")
        self.outcomes = self._counter("tuneship_outcomes", "Labels that the model answers.", "model", "label")
        self.scores = self._histogram("tuneship_score", "Score of the best answer to an input.", SCORES, "model")
        self.tokens = self._histogram("tuneship_input_tokens", "Tokens of an input, as run.", TOKENS, "model")
        self.tokenize = self._histogram(
            "tuneship_tokenize_seconds", "Tokenising of one request's inputs.", SECONDS, "model"
        )
        self.waited = self._histogram(
            "tuneship_queue_wait_seconds", "A window's wait for the engine.", SECONDS, "model"
        )
        self.batch_windows = self._histogram(
            "tuneship_batch_windows", "Windows in one call of the engine.", WINDOWS, "model"
        )
        self.batch_tokens = self._histogram(
            "tuneship_batch_tokens", "Tokens in one call of the engine, padding not counted.", TOKENS, "model"
        )
        self.infer = self._histogram("tuneship_infer_seconds", "One call of the engine.", SECONDS, "model")
        self.queue = self._gauge("tuneship_queue_depth", "Windows that wait for the engine.", "model")
        self.psi = self._gauge(
            "tuneship_drift_psi", "Population stability index of late against the proof's evaluation rows.",
            "model", "distribution",
        )  # fmt: skip
        self.psi_chance = self._gauge(
            "tuneship_drift_psi_chance", "What the index passes by chance in 1 of 100 windows without drift.",
            "model", "distribution",
        )  # fmt: skip
        self.psi_inputs = self._gauge("tuneship_drift_inputs", "Inputs in the window that drift is told of.", "model")
        self._bundle = self._gauge(
            "tuneship_bundle_info", "Always 1; its labels tell which bundle answers.",
            "model", "name", "task", "variant", "digest",
        )  # fmt: skip
        self._fallback = self._gauge(
            "tuneship_fallback", "1 where the bundle's preferred variant does not answer on this machine, else 0.",
            "model", "preferred", "variant",
        )  # fmt: skip
        self.reloads = self._counter(
            "tuneship_reloads", "Looks for a new version, by what came of them.", "model", "outcome"
        )
        self._connections = self._counter(
            "tuneship_connections_refused", "Connections that the server ended, by why.", "reason"
        )
        for reason in get_args(Reason):  # at 0, for Prometheus sees no increase where a series is born
            self._connections.labels(reason)
        ProcessCollector(registry=self._registry)
        self._series: dict[tuple[str, str, str, int], tuple[Count, Distribution]] = {}
        self._models: dict[str, ModelMetrics] = {}

    def request(self, model: str, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; every argument but the last is one of a bounded set."""
        key = (model, method, route, status)
        if (series := self._series.get(key)) is None:
            series = self._series[key] = self._requests.labels(*key), self._seconds.labels(model, route)
        count, distribution = series
        count.inc()
        distribution.observe(seconds)

    def refused_connection(self, reason: Reason) -> None:
        """Count a connection that the server ended."""
        self._connections.labels(reason).inc()

    def serves(self, model: str, predictor: Predictor, *, instead_of: Predictor | None = None) -> None:
        """Record which bundle answers under a model's name, by which of its variants; and which does so no longer."""
        if instead_of:
            self._bundle.remove(*_about(model, instead_of))
            self._fallback.remove(*_choice(model, instead_of))
        self._bundle.labels(*_about(model, predictor)).set(1)
        choice = predictor.choice
        self._fallback.labels(*_choice(model, predictor)).set(choice.served != choice.preferred)

    def of(self, model: str, bundle: Bundle) -> ModelMetrics:
        """What is counted of a bundle's answers under a model's name; drift begins anew with each bundle."""
        for distribution in DISTRIBUTIONS:
            self.psi.remove(model, distribution)
            self.psi_chance.remove(model, distribution)
        self._models[model] = metrics = ModelMetrics(self, model, bundle)
        return metrics

    def render(self) -> bytes:
        """The exposition text: of this process, for there is one worker a server."""
        for model in self._models.values():
            model.tell_drift()
        return generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        counter = Counter(name, meaning, labels)
        self._registry.register(counter)
        return counter

    def _histogram(self, name: str, meaning: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
        histogram = Histogram(name, meaning, labels, bounds)
        self._registry.register(histogram)
        return histogram

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        gauge = Gauge(name, meaning, labels)
        self._registry.register(gauge)
        return gauge


def _about(model: str, predictor: Predictor) -> tuple[str, str, str, str, str]:
    manifest = predictor.manifest
    return model, manifest.name, manifest.task, predictor.choice.served, manifest.digest


def _choice(model: str, predictor: Predictor) -> tuple[str, str, str]:
    return model, predictor.choice.preferred, predictor.choice.served
