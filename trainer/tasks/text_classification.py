"""Text classification: one label per text or pair, from two or more logits, or from one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from serving.errors import InputError
from serving.tasks import text_classification as serving
from serving.tasks.activations import apply_function, scale_odds
from serving.tasks.base import Encoded, Logits, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.calibration import Forecasts, nll_of
from trainer.metrics.changes import PROBABILITY, Changes, Side, score_changes
from trainer.metrics.resampling import WeightedMetric, f1_of, indicators, mean_of
from trainer.metrics.scaling import fit_temperature
from trainer.metrics.thresholds import best_accuracy_threshold
from trainer.model.inference import RowLogits
from trainer.tasks import label_lists
from trainer.tasks import labels as label_rows
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.calibration import Calibrated
from trainer.tasks.losses import class_weights, sigmoid_loss, softmax_loss
from trainer.tasks.scoring import mistake, per_label
from trainer.tasks.soft_answers import ONE_OF_LABELS, SEVERAL_LABELS, SoftAnswers


class TextClassification(TrainingTask):
    """Exactly one label is right."""

    serves = serving.TextClassification
    head = "sequence"
    scoring_parameters = serving.TextClassificationParameters(top_k=1)

    def read_targets(self, table: Table) -> list[Any]:
        labels = label_lists.read_single(table, self.label_column)
        return columns.map_rows(table, label_rows.naming(label_rows.read_label_names(self.data)), labels)

    def strata(self, rows: Rows) -> Sequence[str]:
        return rows.targets

    def row_labels(self, rows: Rows) -> Iterable[tuple[int, str]]:
        return zip(rows.numbers, rows.targets, strict=True)

    def label_names(self, train: Rows, table: Table) -> list[str]:
        """In the order of ``data.label_names``, the data set's own, or natural order."""
        order = label_rows.read_label_names(self.data) or table.label_names.get(self.label_column)
        labels = label_rows.sort_labels(train.targets, order)
        label_rows.require_two(labels, train)
        if self.recipe.loss == "binary-cross-entropy" and len(labels) != 2:
            raise InputError(
                f"model_head.loss: binary-cross-entropy needs two labels, and there are {len(labels)};"
                " give cross-entropy, or task: multi-label-classification",
                field="model_head.loss",
            )
        self._weight = class_weights(self.recipe.model_head.class_weights, labels, self.label_counts(train))
        self._check_descriptions(labels)
        return labels

    def _check_descriptions(self, labels: Sequence[str]) -> None:
        described = (self.recipe.few_shot and self.recipe.few_shot.label_descriptions) or {}
        if unknown := sorted(set(described) - set(labels)):
            raise InputError(
                f"few_shot.label_descriptions: {unknown[0]!r} is no label; labels are: {', '.join(labels[:20])}",
                field="few_shot.label_descriptions",
            )

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        one_logit = self.recipe.loss == "binary-cross-entropy"
        return serving.TextClassificationSettings(**self.pair_settings(max_length), one_logit=one_logit)

    def tune_settings(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> TaskSettings:
        """The second of two labels has a threshold, with the best validation accuracy."""
        if len(task.labels) != 2:
            return task.settings
        second = np.array(rows.targets) == task.labels[1]
        scores = np.array([_second_probability(task.merge(windows)) for windows in logits])
        return task.settings.model_copy(update={"threshold": best_accuracy_threshold(scores, second)})

    def without_calibration(self, settings: TaskSettings) -> TaskSettings:
        assert isinstance(settings, serving.TextClassificationSettings)
        return at_temperature(settings, 1.0)

    def calibrate(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Calibrated:
        """One temperature."""
        assert isinstance(task, serving.TextClassification)
        both = np.stack([task.merge(windows) for windows in logits])
        if both.shape[1] == 1:  # the log odds of the second label
            both = np.concatenate([np.zeros_like(both), both], axis=1)
        numbers = {label: at for at, label in enumerate(task.labels)}
        temperature, fit = fit_temperature(both, np.array([numbers[target] for target in rows.targets]))
        return Calibrated(at_temperature(task.settings, temperature), fit.pays, fit)

    def forecasts(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Forecasts:
        """Of each row its label's score; NLL and Brier score are of all labels."""
        assert isinstance(task, serving.TextClassification)
        numbers = {label: at for at, label in enumerate(task.labels)}
        found = np.empty((4, len(rows)))
        for at, (windows, target) in enumerate(zip(logits, rows.targets, strict=True)):
            merged, right = task.merge(windows), numbers[target]
            scores, answered = task.scores(merged), task.order(merged)[0]
            brier = (scores**2).sum() - 2 * scores[right] + 1
            found[:, at] = scores[answered], answered == right, scores[right], brier
        confidences, correct, probabilities, brier = found
        row, count = np.arange(len(rows)), np.ones(len(rows))
        return Forecasts(len(rows), confidences, correct > 0, row, nll_of(probabilities), brier, count)

    def examples(self, task: Task, encoded: list[Encoded], target: str) -> list[Example]:
        return [Example(tuple(encoded[0].windows), task.labels.index(target))]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """Over one logit, 1 is the second label."""
        weight, smoothing = self._weight if training else None, self.smoothing(training)
        if self.recipe.loss == "binary-cross-entropy":
            smoothed = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
            return sigmoid_loss(logits[:, 0], smoothed, weight=None if weight is None else weight[1] / weight[0])
        return softmax_loss(logits, labels, smoothing=smoothing, weight=weight, gamma=self.focal_gamma(training))

    def soft_answers(self) -> SoftAnswers:
        return SEVERAL_LABELS if self.recipe.loss == "binary-cross-entropy" else ONE_OF_LABELS

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        from sklearn.metrics import f1_score

        expected, answered = rows.targets, _labels(answers)
        return {
            "accuracy": float(np.mean(np.array(expected) == np.array(answered))),
            "macro_f1": float(f1_score(expected, answered, average="macro", zero_division=0)),
        }

    def answered(self, rows: Rows, answers: Sequence[Any]) -> list[Any]:
        return _labels(answers)

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        if metric == "accuracy":
            return mean_of(self.is_correct(rows, answers))
        labels = sorted({*rows.targets, *_labels(answers)})
        expected, answered = (indicators([[x] for x in side], labels) for side in (rows.targets, _labels(answers)))
        return f1_of(expected * answered, answered, expected, "macro")

    def floor(self, metric: str, rows: Rows) -> float:
        """Of the most frequent label."""
        counts = Counter(rows.targets)
        share = max(counts.values()) / len(rows)
        return share if metric == "accuracy" else 2 * share / (1 + share) / len(counts)

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        return [label == target for label, target in zip(_labels(answers), rows.targets, strict=True)]

    def confidences(self, answers: Sequence[Any]) -> list[float]:
        return [answer[0]["score"] for answer in answers]

    def changes(self, before: Side, after: Side) -> Changes:
        """The largest of all labels': a mean over many labels would hide it."""
        changes = score_changes(_scores(before.decode()), _scores(after.decode()), missing=np.nan)
        return {PROBABILITY: changes.max(keepdims=True)}

    def crosses_threshold(self, before: Side, after: Side) -> bool:
        return before.task.settings.model_dump()["threshold"] is not None

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        """The matrix is [expected, answered]."""
        from sklearn.metrics import confusion_matrix

        matrix: NDArray[np.int64] = confusion_matrix(rows.targets, _labels(answers), labels=list(labels))
        figures = per_label(labels, matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1))
        return {"per_label": figures, "confusion_matrix": matrix.tolist()}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        wrong = [at for at, correct in enumerate(self.is_correct(rows, answers)) if not correct]
        return [
            mistake(rows, at, expected=rows.targets[at], answered=best["label"], confidence=best["score"])
            for at in sorted(wrong, key=lambda at: -answers[at][0]["score"])[:most]
            for best in (answers[at][0],)
        ]

    def confusions(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        pairs = Counter(pair for pair in zip(rows.targets, _labels(answers), strict=True) if pair[0] != pair[1])
        often = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:most]
        return [{"expected": pair[0], "answered": pair[1], "count": count} for pair, count in often]


def _labels(answers: Sequence[Any]) -> list[str]:
    return [answer[0]["label"] for answer in answers]


def _scores(answer: Any) -> dict[str, float]:
    return {each["label"]: each["score"] for each in answer}


def at_temperature(
    settings: serving.TextClassificationSettings, temperature: float
) -> serving.TextClassificationSettings:
    """With a threshold that answers the same."""
    threshold = settings.threshold
    if threshold is not None:
        scaled = scale_odds(np.array(threshold), settings.temperature / temperature)
        threshold = float(np.clip(scaled, np.nextafter(0, 1), np.nextafter(1, 0)))
    return settings.model_copy(update={"temperature": temperature, "threshold": threshold})


def _second_probability(logits: Logits) -> float:
    return float(apply_function(logits, "sigmoid" if len(logits) == 1 else "softmax")[-1])
