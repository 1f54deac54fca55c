"""Learning multi-label classification: each label decided by itself, each at a threshold tuned on validation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_fscore_support
from torch import Tensor

from serving.tasks import multi_label_classification as serving
from serving.tasks.activations import apply_function
from serving.tasks.base import Encoded, Logits, Task, TaskSettings
from serving.tasks.inputs import json_type
from trainer.data import columns
from trainer.data.rows import Rows, texts_of
from trainer.data.table import Table
from trainer.metrics.resampling import WeightedMetric, f1_of, indicators, mean_of
from trainer.metrics.thresholds import best_thresholds
from trainer.model.heads import Head
from trainer.tasks import labels as label_rows
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.losses import any_of, class_weights


class MultiLabelClassification(TrainingTask):
    """Any number of the labels is right."""

    serves: ClassVar[type[Task]] = serving.MultiLabelClassification
    head: ClassVar[Head] = "sequence"

    def read_targets(self, table: Table) -> list[list[str]]:
        """The labels of each row: a list in the column, or text cut at ``data.label_separator``; none for no text."""
        found = columns.column(table, "data.label", self.label_column, _labels_problem)
        split = [self._split(value) for value in found]
        places = [row for row, labels in enumerate(split, 1) for _ in labels]
        flat = [label for labels in split for label in labels]
        names = iter(label_rows.named(flat, label_rows.names_of_numbers(self.data), table.name, places))
        return [[next(names) for _ in labels] for labels in split]

    def strata(self, rows: Rows) -> list[str]:
        """A split keeps the shares of each row's rarest label."""
        counts = self.label_counts(rows)
        return [min(labels, key=lambda label: (counts[label], label), default="") for labels in rows.targets]

    def label_names(self, train: Rows, table: Table) -> list[str]:
        """The labels that occur, in the order of ``data.label_names`` or else natural order."""
        labels = label_rows.ordered(self.label_counts(train), label_rows.names_of_numbers(self.data))
        label_rows.require_two(labels, train)
        self._weight = class_weights(self.recipe.model_head.class_weights, labels, self.label_counts(train))
        return labels

    def require_known(self, rows: Rows, labels: Sequence[str]) -> None:
        """A held-out label must be among the training labels."""
        label_rows.require_known(rows, _numbered(rows), labels, self.label_column)

    def label_counts(self, rows: Rows) -> dict[str, int]:
        """Rows a label."""
        return dict(Counter(label for _, label in _numbered(rows)))

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """Whether inputs are pairs; thresholds of one half until they are tuned."""
        return serving.MultiLabelSettings(
            pair=self.data.text_pair is not None, clip=self.clip(max_length), thresholds=[0.5] * len(labels)
        )

    def tune_settings(
        self, task: Task, encoded: Sequence[Encoded], logits: Sequence[list[Logits]], rows: Rows
    ) -> TaskSettings:
        """Each label's threshold of the best validation F1."""
        scores = np.stack([apply_function(windows[0], "sigmoid") for windows in logits])
        thresholds = best_thresholds(scores, _indicators(rows.targets, task.labels))
        return task.settings.model_copy(update={"thresholds": [float(value) for value in thresholds]})

    def initial_bias(self, train: Rows, labels: Sequence[str]) -> list[float]:
        """Each label's own log odds: rare labels need not first be unlearned (Lin et al. 2017, section 4.1)."""
        counts, rows = self.label_counts(train), len(train)
        return [math.log((counts[label] + 0.5) / (rows - counts[label] + 0.5)) for label in labels]

    def examples(self, task: Task, encoded: list[Encoded], target: list[str]) -> list[Example]:
        """The one window, and a one for each right label."""
        return [Example((encoded[0].windows[0],), [float(label in target) for label in task.labels])]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """Binary cross-entropy or focal loss of each label by itself."""
        gamma = self.recipe.model_head.focal_gamma if self.recipe.loss == "focal" and training else None
        return any_of(logits, labels.to(logits.dtype), weight=self._weight if training else None, gamma=gamma)

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """Macro-F1 over all labels, micro-F1, and the share of rows whose labels are all right and no others."""
        labels = sorted(
            {label for _, label in _numbered(rows)} | {each["label"] for answer in answers for each in answer}
        )
        expected = _indicators(rows.targets, labels)
        answered = _indicators([_labels(answer) for answer in answers], labels)
        return {
            "macro_f1": float(f1_score(expected, answered, average="macro", zero_division=0)),
            "micro_f1": float(f1_score(expected, answered, average="micro", zero_division=0)),
            "accuracy": float((expected == answered).all(axis=1).mean()),
        }

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        """Accuracy from the rows whose labels are all right, F1 from each label's counts."""
        if metric == "accuracy":
            return mean_of(self.is_correct(rows, answers))
        answered = [_labels(answer) for answer in answers]
        labels = sorted({label for side in (rows.targets, answered) for some in side for label in some})
        wanted, given = (indicators(side, labels) for side in (rows.targets, answered))
        return f1_of(wanted * given, given, wanted, metric.removesuffix("_f1"))

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        """Whether all expected labels are answered, and no others."""
        return [set(_labels(a)) == set(target) for a, target in zip(answers, rows.targets, strict=True)]

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        """Figures a label."""
        expected = _indicators(rows.targets, labels)
        answered = _indicators([_labels(answer) for answer in answers], labels)
        figures = precision_recall_fscore_support(expected, answered, average=None, zero_division=0)
        return {
            "per_label": {
                label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
                for label, p, r, f, s in zip(labels, *figures, strict=True)
            }
        }

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The most confident labels that are wrong."""
        wrong = [
            (each["score"], at, each["label"])
            for at, answer in enumerate(answers)
            for each in answer
            if each["label"] not in rows.targets[at]
        ]
        return [
            {
                "row": rows.numbers[at],
                "text": " / ".join(texts_of(rows.inputs[at])),
                "expected": ", ".join(rows.targets[at]) or "none",
                "answered": label,
                "confidence": score,
            }
            for score, at, label in sorted(wrong, key=lambda each: -each[0])[:most]
        ]

    def _split(self, value: Any) -> list[str]:
        if isinstance(value, (list, tuple)):
            return list(dict.fromkeys(columns.label_name(each) for each in value))
        separator = self.data.label_separator
        parts = str(value).split(separator) if separator else [columns.label_name(value)]
        return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _numbered(rows: Rows) -> Iterable[tuple[int, str]]:
    return ((number, label) for number, labels in zip(rows.numbers, rows.targets, strict=True) for label in labels)


def _labels(answer: Any) -> list[str]:
    return [each["label"] for each in answer]


def _indicators(targets: Sequence[Sequence[str]], labels: Sequence[str]) -> NDArray[np.int64]:
    """``[rows, labels]``: 1 where the label is right."""
    numbers = {label: at for at, label in enumerate(labels)}
    result = np.zeros((len(targets), len(labels)), dtype=np.int64)
    for row, found in zip(result, targets, strict=True):
        row[[numbers[label] for label in found if label in numbers]] = 1
    return result


def _labels_problem(value: Any) -> str | None:
    if value is None:
        return "is missing; a row without labels has an empty list or text"
    if isinstance(value, (list, tuple)):
        return None if all(isinstance(each, (str, int)) for each in value) else "holds something else than labels"
    return None if isinstance(value, (str, int)) else f"is {json_type(value)}; labels are text, or a list of it"
