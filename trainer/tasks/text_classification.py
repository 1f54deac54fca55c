"""Learning text classification: one label a text or pair, by two or more logits, or by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support
from torch import Tensor

from serving.errors import InputError
from serving.tasks import text_classification as serving
from serving.tasks.activations import apply_function
from serving.tasks.base import Encoded, Logits, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows, texts_of
from trainer.data.table import Table
from trainer.metrics.resampling import WeightedMetric, f1_of, indicators, mean_of
from trainer.metrics.thresholds import best_accuracy_threshold
from trainer.model.heads import Head
from trainer.tasks import labels as label_rows
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.losses import any_of, class_weights, one_of

SMOOTHING = 0.05


class TextClassification(TrainingTask):
    """Exactly one of the labels is right."""

    serves: ClassVar[type[Task]] = serving.TextClassification
    head: ClassVar[Head] = "sequence"

    def read_targets(self, table: Table) -> list[str]:
        """The label column."""
        found = columns.labels(table, "data.label", self.label_column)
        return label_rows.named(found, label_rows.names_of_numbers(self.data), table.name)

    def strata(self, rows: Rows) -> list[str]:
        """A split keeps the shares of the labels."""
        return rows.targets

    def label_names(self, train: Rows, table: Table) -> list[str]:
        """The labels that occur, in the order of ``data.label_names`` or the data set's own, else natural order."""
        wanted = label_rows.names_of_numbers(self.data) or table.label_names.get(self.label_column)
        labels = label_rows.ordered(train.targets, wanted)
        label_rows.require_two(labels, train)
        if self.recipe.loss == "binary-cross-entropy" and len(labels) != 2:
            raise InputError(
                f"model_head.loss: binary-cross-entropy tells two labels apart, and there are {len(labels)};"
                " give cross-entropy, or task: multi-label-classification",
                field="model_head.loss",
            )
        self._weight = class_weights(self.recipe.model_head.class_weights, labels, Counter(train.targets))
        return labels

    def require_known(self, rows: Rows, labels: Sequence[str]) -> None:
        """A held-out label must be among the training labels."""
        label_rows.require_known(rows, zip(rows.numbers, rows.targets, strict=True), labels, self.label_column)

    def label_counts(self, rows: Rows) -> dict[str, int]:
        """Rows a label."""
        return dict(Counter(rows.targets))

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """Whether inputs are pairs, and whether one logit tells two labels apart."""
        one_logit = self.recipe.loss == "binary-cross-entropy"
        return serving.TextClassificationSettings(
            pair=self.data.text_pair is not None, clip=self.clip(max_length), one_logit=one_logit
        )

    def tune_settings(
        self, task: Task, encoded: Sequence[Encoded], logits: Sequence[list[Logits]], rows: Rows
    ) -> TaskSettings:
        """Two labels: the threshold of the second that gives the validation rows the best accuracy."""
        if len(task.labels) != 2:
            return task.settings
        second = np.array(rows.targets) == task.labels[1]
        scores = np.array([_second_probability(windows[0]) for windows in logits])
        return task.settings.model_copy(update={"threshold": best_accuracy_threshold(scores, second)})

    def examples(self, task: Task, encoded: list[Encoded], target: str) -> list[Example]:
        """The one window and the label's number."""
        return [Example((encoded[0].windows[0],), task.labels.index(target))]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """Cross-entropy or focal loss over the labels; over one logit, binary cross-entropy with label 1 the second."""
        weight = self._weight if training else None
        gamma = self.recipe.model_head.focal_gamma if self.recipe.loss == "focal" and training else None
        if self.recipe.loss == "binary-cross-entropy":
            return self._binary(logits[:, 0], labels, training, weight)
        smoothing = self._smoothing() if training else 0.0
        return one_of(logits, labels, smoothing=smoothing, weight=weight, gamma=gamma)

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """Accuracy and macro-F1, the latter the mean over the labels that occur in either."""
        expected, answered = rows.targets, _labels(answers)
        return {
            "accuracy": float(np.mean(np.array(expected) == np.array(answered))),
            "macro_f1": float(f1_score(expected, answered, average="macro", zero_division=0)),
        }

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        """Accuracy from the right rows, macro-F1 from each label's counts."""
        if metric == "accuracy":
            return mean_of(self.is_correct(rows, answers))
        labels = sorted({*rows.targets, *_labels(answers)})
        wanted, given = (indicators([[each] for each in side], labels) for side in (rows.targets, _labels(answers)))
        return f1_of(wanted * given, given, wanted, "macro")

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        """Whether the answered label is the expected one."""
        return [label == target for label, target in zip(_labels(answers), rows.targets, strict=True)]

    def confidences(self, answers: Sequence[Any]) -> list[float]:
        """The answered label's probability."""
        return [answer[0]["score"] for answer in answers]

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        """Figures a label, and ``[labels, labels]`` counts: a row is what was expected, a column what was answered."""
        expected, answered = rows.targets, _labels(answers)
        figures = precision_recall_fscore_support(expected, answered, labels=list(labels), zero_division=0)
        matrix: NDArray[np.int64] = confusion_matrix(expected, answered, labels=list(labels))
        return {
            "per_label": {
                label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
                for label, p, r, f, s in zip(labels, *figures, strict=True)
            },
            "confusion_matrix": matrix.tolist(),
        }

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The most confident wrong answers."""
        wrong = [at for at, answer in enumerate(answers) if answer[0]["label"] != rows.targets[at]]
        worst = sorted(wrong, key=lambda at: -answers[at][0]["score"])[:most]
        return [
            {
                "row": rows.numbers[at],
                "text": " / ".join(texts_of(rows.inputs[at])),
                "expected": rows.targets[at],
                "answered": answers[at][0]["label"],
                "confidence": answers[at][0]["score"],
            }
            for at in worst
        ]

    def confusions(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The most frequent pairs of expected and answered label."""
        pairs = Counter(pair for pair in zip(rows.targets, _labels(answers), strict=True) if pair[0] != pair[1])
        often = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:most]
        return [{"expected": pair[0], "answered": pair[1], "count": count} for pair, count in often]

    def _smoothing(self) -> float:
        factor = self.recipe.training.label_smoothing_factor
        return SMOOTHING if factor is None and self.recipe.loss == "cross-entropy" else factor or 0.0

    def _binary(self, logits: Tensor, labels: Tensor, training: bool, weight: Tensor | None) -> Tensor:
        smoothing = (self.recipe.training.label_smoothing_factor or 0.0) if training else 0.0
        towards = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        return any_of(logits, towards, weight=None if weight is None else weight[1] / weight[0])


def _labels(answers: Sequence[Any]) -> list[str]:
    return [answer[0]["label"] for answer in answers]


def _second_probability(logits: Logits) -> float:
    if len(logits) == 1:
        return float(apply_function(logits, "sigmoid")[0])
    return float(apply_function(logits, "softmax")[1])
