"""What is counted of one model's answers, its metrics' children bound once; and whether they drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from serving.bundle import Bundle
from serving.counting import Count
from serving.drift import Drift
from serving.request import Reply
from serving.tasks import task_of
from serving.tasks.base import Encoded, Parameters

if TYPE_CHECKING:
    from serving.metrics import Metrics


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
        """As `serving.batching.observing.Observer` says."""
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

    def answered(self, reply: Reply, parameters: Parameters) -> list[str]:
        """Count the answers to inputs; gives their labels: the model's own, whatever the caller's parameters."""
        self._inputs.inc(len(reply.encoded))
        labels: list[str] = []
        for each, answer in zip(reply.encoded, self._own(reply, parameters), strict=True):
            outcomes = self._task.outcomes(answer)
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

    def _own(self, reply: Reply, parameters: Parameters) -> Sequence[Any]:
        """What the model answers by itself; decoded anew only where a caller's parameters may have altered it."""
        if self._task.altered_by.isdisjoint(parameters.model_fields_set):
            return reply.answers
        return [self._task.decode(*each) for each in zip(reply.encoded, reply.results, strict=True)]

    def _count(self, outcome: str) -> None:
        if (counter := self._outcomes.get(outcome)) is None:
            counter = self._outcomes[outcome] = self._metrics.outcomes.labels(self._model, outcome)
        counter.inc()
