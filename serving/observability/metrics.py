"""What the server counts: Prometheus metrics in base units, with labels whose values no caller can choose.

Children are bound once, not looked up for each request. docs/metrics.md lists them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from serving.observability.drift import DISTRIBUTIONS, Drift
from serving.observability.prometheus_series import Count, Counter, Distribution, Gauge, Histogram
from serving.protocols.base import Reply
from serving.tasks import task_of
from serving.tasks.base import Encoded, TaskParameters

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128)
SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

Reason = Literal["limit", "slow_head", "large_head", "malformed", "slow_reader"]
"""Why the server ends a connection, see `serving.http.server.connection`."""


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


class ModelMetrics:
    """Counts; it is the batcher's observer too. Every method is called on the event loop."""

    def __init__(self, metrics: Metrics, model: str, bundle: Bundle) -> None:
        self._metrics, self._model = metrics, model
        self._task = task_of(bundle.manifest)
        self._inputs = metrics.inputs.labels(model)
        self._scores = metrics.scores.labels(model)
        self._tokens = metrics.tokens.labels(model)
        self._tokenize = metrics.tokenize.labels(model)
        self._waited = metrics.waited.labels(model)
        self._batch_windows = metrics.batch_windows.labels(model)
        self._batch_tokens = metrics.batch_tokens.labels(model)
        self._infer = metrics.infer.labels(model)
        self._outcomes: dict[str, Count] = {}
        self._drift = Drift(bundle.reference, self._task.labels) if bundle.reference else None

    def ran(self, waited: Sequence[float], tokens: int, seconds: float) -> None:
        """As `serving.batching.timing.Observer` says."""
        for each in waited:
            self._waited.observe(each)
        self._batch_windows.observe(len(waited))
        self._batch_tokens.observe(tokens)
        self._infer.observe(seconds)

    def tokenized(self, encoded: Sequence[Encoded], seconds: float) -> int:
        """Count the inputs of a request; gives its tokens."""
        self._tokenize.observe(seconds)
        total = 0
        for each in encoded:
            tokens = each.tokens
            self._tokens.observe(tokens)
            total += tokens
        return total

    def answered(self, reply: Reply, parameters: TaskParameters) -> list[str]:
        """Count the answers to inputs; gives their labels: the model's own, whatever the caller's parameters."""
        self._inputs.inc(len(reply.encoded))
        labels: list[str] = []
        for each, answer in zip(reply.encoded, self._own(reply, parameters), strict=True):
            outcomes = self._task.predicted_labels(answer)
            for outcome in outcomes:
                self._count(outcome)
            score = self._task.confidence(answer)
            if score is not None:
                self._scores.observe(score)
            if self._drift:
                self._drift.saw(each.tokens, outcomes)
            labels += outcomes
        return labels

    def streamed(self, encoded: Sequence[Encoded]) -> None:
        """Count inputs whose answers go out piece by piece."""
        self._inputs.inc(len(encoded))
        if self._drift:
            for each in encoded:
                self._drift.saw(each.tokens, ())

    def tell_drift(self) -> None:
        """Publish how far the window is from the bundle's reference; nothing before there is enough in it."""
        if self._drift is None:
            return
        self._metrics.psi_inputs.labels(self._model).set(self._drift.inputs)
        for distribution, psi in self._drift.indices().items():
            self._metrics.psi.labels(self._model, distribution).set(psi.value)
            self._metrics.psi_chance.labels(self._model, distribution).set(psi.chance)

    def _own(self, reply: Reply, parameters: TaskParameters) -> Sequence[Any]:
        """What the model answers by itself; decoded anew only where a caller's parameters may have altered it."""
        if self._task.score_parameters.isdisjoint(parameters.model_fields_set):
            return reply.answers
        return [self._task.decode(*each) for each in zip(reply.encoded, reply.results, strict=True)]

    def _count(self, outcome: str) -> None:
        if (counter := self._outcomes.get(outcome)) is None:
            counter = self._outcomes[outcome] = self._metrics.outcomes.labels(self._model, outcome)
        counter.inc()
