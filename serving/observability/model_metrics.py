"""What is counted of one version of a model, from tokenizing to its answers' drift."""

from __future__ import annotations

import collections
from collections.abc import Sequence

from prometheus_client import Counter

from serving.bundle.bundle import Bundle
from serving.observability.drift import DISTRIBUTIONS, Drift
from serving.observability.metrics import Metrics
from serving.protocols.base import Reply
from serving.tasks import task_of
from serving.tasks.base import Encoded

FEW_LABELS = 8
"""More are counted first: entities are many, and their labels few."""


class ModelMetrics:
    """Also the batcher's observer; for one event loop."""

    def __init__(self, metrics: Metrics, name: str, bundle: Bundle) -> None:
        self._name = name
        self._metrics = metrics
        self._task = task_of(bundle.manifest)
        self._inputs = metrics.inputs.labels(name)
        self._scores = metrics.scores.labels(name)
        self._tokens = metrics.tokens.labels(name)
        self._tokenize = metrics.tokenize.labels(name)
        self._waited = metrics.waited.labels(name)
        self._batch_windows = metrics.batch_windows.labels(name)
        self._batch_tokens = metrics.batch_tokens.labels(name)
        self._infer = metrics.infer.labels(name)
        self._outcomes: dict[str, Counter] = {}
        self._drift = Drift(bundle.reference, self._task.labels) if bundle.reference else None
        for distribution in DISTRIBUTIONS:  # of the version before
            metrics.psi.remove(name, distribution)
            metrics.psi_chance.remove(name, distribution)
        metrics.before_render[name] = self._publish_drift

    def ran(self, waited: Sequence[float], tokens: int, seconds: float) -> None:
        """As `serving.batching.batcher.Observer`."""
        for each in waited:
            self._waited.observe(each)
        self._batch_windows.observe(len(waited))
        self._batch_tokens.observe(tokens)
        self._infer.observe(seconds)

    def count_tokenized(self, encoded: Sequence[Encoded], seconds: float) -> int:
        """Returns the request's tokens."""
        self._tokenize.observe(seconds)
        tokens = [each.tokens for each in encoded]
        for each in tokens:
            self._tokens.observe(each)
        return sum(tokens)

    def count_answers(self, reply: Reply) -> list[str]:
        """The model's own, whatever the caller's parameters; returns their labels."""
        self._inputs.inc(len(reply.encoded))
        answered: list[str] = []
        for each, answer in zip(reply.encoded, reply.own_answers, strict=True):
            labels = self._task.predicted_labels(answer)
            self._count_labels(labels)
            if (score := self._task.confidence(answer)) is not None:
                self._scores.observe(score)
            if self._drift:
                self._drift.count(each.tokens, labels)
            answered += labels
        return answered

    def count_streamed(self, encoded: Sequence[Encoded]) -> None:
        """Count inputs whose answers are streamed."""
        self._inputs.inc(len(encoded))
        if self._drift:
            for each in encoded:
                self._drift.count(each.tokens, ())

    def _publish_drift(self) -> None:
        if self._drift is None:
            return
        self._metrics.psi_inputs.labels(self._name).set(self._drift.inputs)
        for distribution, psi in self._drift.indices().items():
            self._metrics.psi.labels(self._name, distribution).set(psi.value)
            self._metrics.psi_chance.labels(self._name, distribution).set(psi.chance)

    def _count_labels(self, labels: Sequence[str]) -> None:
        if len(labels) <= FEW_LABELS:
            for label in labels:
                self._count_label(label, 1)
            return
        for label, times in collections.Counter(labels).items():
            self._count_label(label, times)

    def _count_label(self, label: str, times: int) -> None:
        if (counter := self._outcomes.get(label)) is None:
            counter = self._outcomes[label] = self._metrics.outcomes.labels(self._name, label)
        counter.inc(times)
