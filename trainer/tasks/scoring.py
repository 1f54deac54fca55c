"""How good answers are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from serving.tasks.base import Encoded, Task, TaskParameters
from trainer.data.rows import Rows, texts_of
from trainer.metrics.bootstrap import value_of
from trainer.metrics.changes import Changes, Side
from trainer.metrics.intervals import wilson_interval
from trainer.metrics.own_metric import OwnMetric, distinct
from trainer.metrics.resampling import WeightedMetric, mean_of
from trainer.metrics.squad import exact_match, f1
from trainer.model.inference import RowLogits
from trainer.recipe.recipe import Recipe
from trainer.recipe.section import METRIC_NAMES

MetricValues = dict[str, float]
Interval = tuple[float, float]


class Scoring(ABC):
    """``answers`` are the decoded answers to ``rows``, in order."""

    recipe: Recipe
    shares: ClassVar[tuple[str, ...]] = ("accuracy", "exact_match", "coverage")
    """The metrics that are shares of rows, and so have a binomial interval."""
    scoring_parameters: ClassVar[TaskParameters | None] = None
    """Parameters under which an answer has all that the methods here and decisions read; None: the default ones."""

    mistake_measure: ClassVar[str] = "confidence"
    """By which mistakes are sorted, and what each has under this name."""

    @property
    def proof_metric(self) -> str:
        """The metric that a proof compares."""
        return self.recipe.metric

    @cached_property
    def own_metric(self) -> OwnMetric | None:
        """The extension that the recipe names as its metric; raises InputError where it cannot be imported."""
        name = self.recipe.metric
        return None if name in METRIC_NAMES else OwnMetric.open(name)

    def score(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """All figures, in the order of display: `metrics`, after the recipe's own one."""
        own = self.own_metric
        found = {own.name: value_of(self.weigh(own.name, rows, answers))} if own else {}
        return {**found, **self.metrics(rows, answers)}

    def weigh(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        """A metric that may choose the checkpoint, or that a proof compares, as a function of row weights."""
        if self.own_metric and metric == self.own_metric.name:
            return self.own_metric.of(self.expected(rows), self.answered(rows, answers))
        return self.weighted_metric(metric, rows, answers)

    def least(self, metric: str, rows: Rows) -> float:
        """The best score of an answer that is the same for every row."""
        if self.own_metric and metric == self.own_metric.name:
            return self.own_metric.best_of(self.expected(rows), self.constants(rows))
        return self.floor(metric, rows)

    def expected(self, rows: Rows) -> list[Any]:
        """As an extension's metric gets it: a label, a list of labels or tags, a number, or accepted texts a row."""
        return list(rows.targets)

    def answered(self, rows: Rows, answers: Sequence[Any]) -> list[Any]:
        """The same of the answers."""
        raise NotImplementedError  # of tasks that take no such metric

    def constants(self, rows: Rows) -> Iterator[list[Any]]:
        """Answers to all rows that are one."""
        return ([value] * len(rows) for value in distinct(self.expected(rows)))

    @abstractmethod
    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """The task's own, in the order of display."""

    @abstractmethod
    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        """One of the task's own for `weigh`."""

    def intervals(self, rows: Rows, answers: Sequence[Any]) -> Mapping[str, Interval]:
        """The 95 % intervals of metrics that are neither shares of rows nor correlations."""
        return {}

    def cut_answers(self, answers: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        """The answers as callers may ask for less of each, by what a proof calls that; the metric is proven of each."""
        return {}

    def floor(self, metric: str, rows: Rows) -> float:
        """One of the task's own for `least`; a correlation with a constant is 0."""
        return 0.0

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool] | None:
        """Whether each answer is wholly right; None where right is a matter of degree."""
        return None

    def confidences(self, answers: Sequence[Any]) -> list[float] | None:
        """The answers' probabilities of being right, if they have any."""
        return None

    @abstractmethod
    def changes(self, before: Side, after: Side) -> Changes:
        """How far the answer to an item is from the checkpoint's."""

    def crosses_threshold(self, before: Side, after: Side) -> bool:
        """Whether the item's answers, which differ, differ by a threshold: a small change of a score suffices."""
        return False

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        """A report shows ``per_label`` and ``confusion_matrix``."""
        return {}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The worst, each as `mistake` makes it; where there may be several answers, those that are none."""
        return []

    def misses(
        self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows, answers: Sequence[Any]
    ) -> list[dict[str, Any]]:
        """Expected answers among several that were not given, each as `mistake` makes it."""
        return []

    def confusions(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The most frequent mistakes: ``expected``, ``answered``, ``count``."""
        return []


SCORES = {"f1": f1, "exact_match": exact_match}


class WordScoring(Scoring):
    """By words, as in SQuAD's evaluation."""

    @abstractmethod
    def answered_text(self, answer: Any) -> str: ...

    @abstractmethod
    def accepted_texts(self, rows: Rows) -> list[list[str]]:
        """By row, at least one."""

    def answered_texts(self, rows: Rows, answers: Sequence[Any]) -> list[tuple[str, list[str]]]:
        """Answer and accepted texts."""
        return list(zip(map(self.answered_text, answers), self.accepted_texts(rows), strict=True))

    def expected(self, rows: Rows) -> list[Any]:
        return self.accepted_texts(rows)

    def answered(self, rows: Rows, answers: Sequence[Any]) -> list[Any]:
        return list(map(self.answered_text, answers))

    def constants(self, rows: Rows) -> Iterator[list[Any]]:
        return ([text] * len(rows) for text in ("", self._most_accepted(rows)))

    def _most_accepted(self, rows: Rows) -> str:
        return Counter(text for texts in self.accepted_texts(rows) for text in set(texts)).most_common(1)[0][0]

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        pairs = self.answered_texts(rows, answers)
        return {name: float(np.mean([score(*pair) for pair in pairs])) for name, score in SCORES.items()}

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        score = SCORES[metric]
        return mean_of([score(*pair) for pair in self.answered_texts(rows, answers)])

    def floor(self, metric: str, rows: Rows) -> float:
        """Of no answer, or of the most frequent accepted one."""
        accepted, candidates = self.accepted_texts(rows), ("", self._most_accepted(rows))
        return max(float(np.mean([SCORES[metric](text, texts) for texts in accepted])) for text in candidates)

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        return [exact_match(*pair) == 1 for pair in self.answered_texts(rows, answers)]


def mistake(
    rows: Rows, at: int, *, expected: str, answered: str, text: str | None = None, **measure: float
) -> dict[str, Any]:
    """What a report lists of a row; ``measure`` says how wrong it is."""
    return {
        "row": rows.numbers[at],
        "line": at + 1,
        "text": " / ".join(texts_of(rows.inputs[at])) if text is None else text,
        "expected": expected,
        "answered": answered,
        **measure,
    }


def label_figures(hits: int, answered: int, expected: int) -> dict[str, Any]:
    """Precision and recall with their intervals, F1, and the ``support``; 0 / 0 is 0."""
    found: dict[str, Any] = {}
    for name, part, whole in (("precision", hits, answered), ("recall", hits, expected)):
        found[name] = part / whole if whole else 0.0
        found[f"{name}_interval_95"] = list(wilson_interval(found[name], whole))
    return {**found, "f1": 2 * hits / (answered + expected) if answered + expected else 0.0, "support": expected}


def per_label(labels: Sequence[str], hits: Any, answered: Any, expected: Any) -> dict[str, dict[str, Any]]:
    """`label_figures` of each label, from counts in their order."""
    counts = zip(*(np.asarray(each).astype(int).tolist() for each in (hits, answered, expected)), strict=True)
    return {label: label_figures(*of_label) for label, of_label in zip(labels, counts, strict=True)}
