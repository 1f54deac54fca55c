"""Multi-label classification: each label is decided at a threshold of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor

from serving.errors import InputError
from serving.tasks import multi_label_classification as serving
from serving.tasks.activations import apply_function, scale_odds
from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.calibration import Forecasts, join, nll_of
from trainer.metrics.changes import PROBABILITY, Changes, Side, score_changes
from trainer.metrics.resampling import WeightedMetric, f1_of, indicators, mean_of
from trainer.metrics.scaling import fit_labels, mean_fit
from trainer.metrics.thresholds import MIN_POSITIVES, best_thresholds
from trainer.model.inference import RowLogits
from trainer.tasks import label_lists
from trainer.tasks import labels as label_rows
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.calibration import Calibrated
from trainer.tasks.losses import class_weights, sigmoid_loss
from trainer.tasks.scoring import mistake, per_label
from trainer.tasks.soft_answers import SEVERAL_LABELS, SoftAnswers


class MultiLabelClassification(TrainingTask):
    """A target is a list of labels."""

    serves = serving.MultiLabelClassification
    head = "sequence"

    _vector_length: int | None = None
    _read_before = False

    def read_targets(self, table: Table) -> list[Any]:
        """From lists, 0/1 vectors, a column for each label, or text split at ``data.label_separator``.

        The first table decides whether there are vectors: a small one may not tell.
        """
        if isinstance(self.data.label, tuple):
            return label_lists.read_columns(table, self.data.label)
        name, names = self.label_column, label_rows.read_label_names(self.data)
        rows = label_lists.read_lists(table, name, self.data.label_separator)
        if not self._read_before:
            self._vector_length, self._read_before = label_lists.vector_length(rows, names), True
        if self._vector_length is not None:
            return label_lists.read_vectors(table, name, rows, self._vector_length, names)
        name_of = label_rows.naming(names)
        return columns.map_rows(
            table, lambda row: list(dict.fromkeys(map(name_of, map(columns.label_name, row)))), rows
        )

    def strata(self, rows: Rows) -> list[str]:
        """Each row's rarest label."""
        counts = self.label_counts(rows)
        return [min(labels, key=lambda label: (counts[label], label), default="") for labels in rows.targets]

    def row_labels(self, rows: Rows) -> Iterable[tuple[int, str]]:
        return ((number, label) for number, labels in zip(rows.numbers, rows.targets, strict=True) for label in labels)

    def label_names(self, train: Rows, table: Table) -> list[str]:
        counts = self.label_counts(train)
        order = self.data.label if isinstance(self.data.label, tuple) else label_rows.read_label_names(self.data)
        labels = label_rows.sort_labels(counts, order or table.label_names.get(self.label_column))
        if len(labels) == 1 and any(labels[0] not in row for row in train.targets):
            raise InputError(
                f"{train.name}: the only label is {labels[0]!r}; give two or more, or for a yes or no about one label"
                " task: text-classification",
                field="data.label",
            )
        label_rows.require_two(labels, train)
        self._weight = class_weights(self.recipe.model_head.class_weights, labels, counts)
        return labels

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        return serving.MultiLabelSettings(**self.pair_settings(max_length), thresholds=[0.5] * len(labels))

    def tune_settings(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> TaskSettings:
        scores = np.stack([apply_function(task.merge(windows), "sigmoid") for windows in logits])
        thresholds = best_thresholds(scores, indicators(rows.targets, task.labels).toarray())
        return task.settings.model_copy(update={"thresholds": [float(value) for value in thresholds]})

    def without_calibration(self, settings: TaskSettings) -> TaskSettings:
        assert isinstance(settings, serving.MultiLabelSettings)
        return scale_labels(settings, [], [])

    def calibrate(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Calibrated:
        """A scale and a bias for each label that has enough positive rows, and one of each for all others together."""
        assert isinstance(task, serving.MultiLabelClassification)
        truth = indicators(rows.targets, task.labels).astype(np.bool_).toarray()
        fits = fit_labels(np.stack([task.merge(windows) for windows in logits]), truth, MIN_POSITIVES)
        scales, biases, checked = zip(*fits, strict=True)
        kept = any(fit.pays for fit in checked)
        settings = scale_labels(task.settings, *((scales, biases) if kept else ([], [])))
        return Calibrated(settings, kept, mean_fit(checked))

    def forecasts(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Forecasts:
        """Of each answered label its score; NLL and Brier score are of every label, answered or not."""
        assert isinstance(task, serving.MultiLabelClassification)
        numbers, parts = {label: at for at, label in enumerate(task.labels)}, []
        for windows, target in zip(logits, rows.targets, strict=True):
            scores, right = task.probabilities(task.merge(windows)), np.zeros(len(numbers), dtype=np.bool_)
            right[[numbers[label] for label in target]] = True
            answered = task.answered(scores)
            nll = nll_of(np.where(right, scores, 1 - scores)).sum()
            row, sums = np.zeros(answered.sum(), dtype=np.intp), (nll, ((scores - right) ** 2).sum(), len(scores))
            parts.append(Forecasts(1, scores[answered], right[answered], row, *map(np.atleast_1d, sums)))
        return join(parts)

    def initial_bias(self, train: Rows, labels: Sequence[str]) -> list[float]:
        """Log odds, so that rare labels need not be unlearned (Lin et al. 2017, section 4.1)."""
        counts, rows = self.label_counts(train), len(train)
        return [math.log((counts[label] + 0.5) / (rows - counts[label] + 0.5)) for label in labels]

    def examples(self, task: Task, encoded: list[Encoded], target: list[str]) -> list[Example]:
        return [Example(tuple(encoded[0].windows), [float(label in target) for label in task.labels])]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        weight = self._weight if training else None
        return sigmoid_loss(logits, labels.to(logits.dtype), weight=weight, gamma=self.focal_gamma(training))

    def soft_answers(self) -> SoftAnswers:
        return SEVERAL_LABELS

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """``accuracy`` is the share of wholly right rows."""
        from sklearn.metrics import f1_score

        expected, answered = _indicators_of_labels(rows, answers)
        return {
            "macro_f1": float(f1_score(expected, answered, average="macro", zero_division=0)),
            "micro_f1": float(f1_score(expected, answered, average="micro", zero_division=0)),
            "accuracy": float(np.mean(self.is_correct(rows, answers))),
        }

    def answered(self, rows: Rows, answers: Sequence[Any]) -> list[Any]:
        return list(map(_labels, answers))

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        if metric == "accuracy":
            return mean_of(self.is_correct(rows, answers))
        expected, answered = _indicators_of_labels(rows, answers)
        return f1_of(expected * answered, answered, expected, metric.removesuffix("_f1"))

    def floor(self, metric: str, rows: Rows) -> float:
        """Of every label for macro-F1, of the most frequent ones for micro-F1."""
        counts = np.array(sorted(self.label_counts(rows).values(), reverse=True), dtype=np.float64)
        if not counts.size:
            return 0.0
        if metric == "macro_f1":
            return float(np.mean(2 * counts / (len(rows) + counts)))
        answered = len(rows) * np.arange(1, len(counts) + 1)
        return float((2 * np.cumsum(counts) / (answered + counts.sum())).max())

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        return [set(_labels(a)) == set(target) for a, target in zip(answers, rows.targets, strict=True)]

    def changes(self, before: Side, after: Side) -> Changes:
        """The largest of all labels', answered or not: a mean over many labels would hide it."""
        every = serving.MultiLabelParameters(threshold=0.0)
        scores, others = ({each["label"]: each["score"] for each in side.decode(every)} for side in (before, after))
        return {PROBABILITY: score_changes(scores, others, missing=np.nan).max(keepdims=True)}

    def crosses_threshold(self, before: Side, after: Side) -> bool:
        return True

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        expected, answered = (indicators(side, labels) for side in (rows.targets, map(_labels, answers)))
        counts = (each.sum(axis=0) for each in (expected * answered, answered, expected))
        return {"per_label": per_label(labels, *counts)}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        wrong = [
            (each["score"], at, each["label"])
            for at, answer in enumerate(answers)
            for each in answer
            if each["label"] not in rows.targets[at]
        ]
        return [
            mistake(rows, at, expected=", ".join(rows.targets[at]) or "none", answered=label, confidence=score)
            for score, at, label in sorted(wrong, key=lambda each: -each[0])[:most]
        ]

    def misses(
        self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows, answers: Sequence[Any]
    ) -> list[dict[str, Any]]:
        assert isinstance(task, serving.MultiLabelClassification)
        found = []
        for at, (windows, target, answer) in enumerate(zip(logits, rows.targets, answers, strict=True)):
            scores, given = task.probabilities(task.merge(windows)), set(_labels(answer))
            answered = [label for label in task.labels if label in given]
            found += [
                mistake(rows, at, expected=label, answered=", ".join(answered) or "none", confidence=score)
                for label, score in zip(task.labels, scores.tolist(), strict=True)
                if label in target and label not in answered
            ]
        return found


def scale_labels(
    settings: serving.MultiLabelSettings, scales: Sequence[float], biases: Sequence[float]
) -> serving.MultiLabelSettings:
    """With thresholds that answer the same."""
    thresholds = np.array(settings.thresholds)
    if settings.scales:
        before, shift = np.array(settings.scales), np.array(settings.biases)
        thresholds = scale_odds(thresholds, 1 / before, -shift / before)
    if scales:
        thresholds = scale_odds(thresholds, np.array(scales), np.array(biases))
    changed = {"scales": list(scales), "biases": list(biases), "thresholds": thresholds.tolist()}
    return settings.model_copy(update=changed)


def _labels(answer: Any) -> list[str]:
    return [each["label"] for each in answer]


def _indicators_of_labels(rows: Rows, answers: Sequence[Any]) -> tuple[csr_array, csr_array]:
    """Expected and answered, [rows, labels that occur]."""
    answered = [_labels(answer) for answer in answers]
    labels = sorted({label for side in (rows.targets, answered) for row in side for label in row})
    return indicators(rows.targets, labels), indicators(answered, labels)
