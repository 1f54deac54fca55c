"""Prometheus metrics in base units; no caller can choose a label's value. docs/metrics.md lists all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

import prometheus_client as prometheus
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from serving.inference.predictor import Predictor
from serving.observability.log_queue import dropped_lines
from serving.observability.request_record import RequestRecord
from serving.settings.api_keys import ApiKeys

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128)
SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

Reason = Literal["limit", "slow_head", "large_head", "malformed", "slow_reader", "idle"]
"""Why the server closes a connection, see `serving.http.server.connection`."""

prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each counter and histogram


class Metrics:
    """``before_render``: by model, what updates its gauges."""

    content_type = prometheus.CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.before_render: dict[str, Callable[[], None]] = {}
        self._registry = prometheus.CollectorRegistry()
        self._request_series: dict[tuple[str, str, str, int], tuple[Counter, Histogram]] = {}
        self._define_server_metrics()
        self._define_model_metrics()
        prometheus.ProcessCollector(registry=self._registry)
        for reason in get_args(Reason):  # at 0: Prometheus sees no increase in a series that starts at 1
            self._connections.labels(reason)

    def _define_server_metrics(self) -> None:
        self._requests = self._counter(
            "requests", "Requests answered, by model, method, route and status.", "model", "method", "route", "status"
        )
        self._duration = self._histogram(
            "request_duration_seconds", "From a request's head to its answer's end.", SECONDS, "model", "route"
        )
        self._connections = self._counter("connections_refused", "Connections that the server closed.", "reason")
        self.reloads = self._counter("reloads", "Reloads of a model, by outcome.", "model", "outcome")
        self._bundle = self._gauge(
            "bundle_info", "Always 1; the labels name the served bundle.", "model", "name", "task", "variant", "digest"
        )
        self._fallback = self._gauge(
            "fallback", "1 if another variant than the bundle's preferred one is served, else 0.",
            "model", "preferred", "variant",
        )  # fmt: skip

        self._registry.register(_DroppedLogLines())
        self._keys = self._gauge("api_keys_file_bad", "1 if the file of API keys gives no keys now, else 0.")

    def _define_model_metrics(self) -> None:
        self.inputs = self._counter("inputs", "Inputs answered.", "model")
        self.outcomes = self._counter("outcomes", "Labels that the model answers.", "model", "label")
        self.scores = self._histogram("score", "Score of the best answer to an input.", SCORES, "model")
        self.tokens = self._histogram("input_tokens", "Tokens of an input.", TOKENS, "model")
        self.tokenize = self._histogram("tokenize_seconds", "Tokenizing one request's inputs.", SECONDS, "model")
        self.waited = self._histogram("queue_wait_seconds", "A window's wait for the engine.", SECONDS, "model")
        self.batch_windows = self._histogram("batch_windows", "Windows in a batch.", WINDOWS, "model")
        self.batch_tokens = self._histogram("batch_tokens", "Tokens in a batch, without padding.", TOKENS, "model")
        self.infer = self._histogram("infer_seconds", "The engine's run of one batch.", SECONDS, "model")
        self.queue = self._gauge("queue_depth", "Windows that wait for the engine.", "model")
        self.psi = self._gauge(
            "drift_psi", "Population stability index of recent traffic against the evaluation set.",
            "model", "distribution",
        )  # fmt: skip
        self.psi_chance = self._gauge(
            "drift_psi_chance", "The index's 99th percentile without drift.", "model", "distribution"
        )
        self.psi_inputs = self._gauge("drift_inputs", "Inputs in the window that drift is computed of.", "model")

    def count_request(self, record: RequestRecord) -> None:
        key = (record.model, record.method, record.route, record.status)
        if (series := self._request_series.get(key)) is None:
            series = self._requests.labels(*key), self._duration.labels(record.model, record.route)
            self._request_series[key] = series
        requests, duration = series
        requests.inc()
        duration.observe(record.seconds)

    def count_refused_connection(self, reason: Reason) -> None:
        self._connections.labels(reason).inc()

    def observe_keys(self, keys: ApiKeys | None) -> None:
        if keys:
            self._keys.set_function(lambda: keys.file_is_bad)

    def set_bundle(self, model: str, predictor: Predictor, *, replaces: Predictor | None = None) -> None:
        """A model serves this bundle and variant."""
        if replaces:
            self._bundle.remove(*_bundle_labels(model, replaces))
            self._fallback.remove(*_variant_labels(model, replaces))
        self._bundle.labels(*_bundle_labels(model, predictor)).set(1)
        choice = predictor.choice
        self._fallback.labels(*_variant_labels(model, predictor)).set(choice.served != choice.preferred)

    def render(self) -> bytes:
        """Prometheus' text format."""
        for update in self.before_render.values():
            update()
        return prometheus.generate_latest(self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"tuneship_{name}", meaning, labels, registry=self._registry)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"tuneship_{name}", meaning, labels, buckets=buckets, registry=self._registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"tuneship_{name}", meaning, labels, registry=self._registry)


class _DroppedLogLines(Collector):
    """The process' count, which is not one app's."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        meaning = "Lines of the log that were dropped, because it was not read in time."
        yield CounterMetricFamily("tuneship_log_lines_dropped", meaning, dropped_lines())


def _bundle_labels(model: str, predictor: Predictor) -> tuple[str, str, str, str, str]:
    manifest = predictor.manifest
    return model, manifest.name, manifest.task, predictor.choice.served, manifest.digest


def _variant_labels(model: str, predictor: Predictor) -> tuple[str, str, str]:
    return model, predictor.choice.preferred, predictor.choice.served
