"""Learning token classification: tagged tokens become a text with entities, and tags of the tokenizer's own pieces.

The text that is learned from is the one that would be sent: the tokens joined by ``data.word_separator``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
from tokenizers import Encoding
from torch import Tensor

from serving.errors import InputError
from serving.tasks import token_classification as serving
from serving.tasks.base import Encoded, Logits, Task, TaskSettings
from serving.tasks.inputs import json_type
from serving.tasks.token_classification import OUTSIDE
from trainer.data import columns
from trainer.data.conll import to_bio
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.entities import Span, entity_scores, spans_of
from trainer.metrics.resampling import WeightedMetric, f1_of
from trainer.model.heads import Head
from trainer.tasks import labels as label_rows
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.losses import class_weights, one_of

BIASES = (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)
"""What is tried as `outside_bias`; zero first among equals."""


class TokenClassification(TrainingTask):
    """A BIO tag for each token. A target is ``{"words": [[start, end], …], "tags": […]}``."""

    serves: ClassVar[type[Task]] = serving.TokenClassification
    head: ClassVar[Head] = "token"
    default_text = "tokens"
    default_label = "tags"

    def read_inputs(self, table: Table) -> list[str]:
        """The tokens of each row, joined."""
        return [self.data.word_separator.join(tokens) for tokens in self._tokens(table)]

    def read_targets(self, table: Table) -> list[dict[str, Any]]:
        """Each word's place in the joined text, and its BIO tag."""
        name = self.label_column
        tags = columns.column(table, "data.label", name, _list_problem)
        tokens = self._tokens(table)
        pairs = enumerate(zip(tokens, tags, strict=True), 1)
        columns.refuse(
            table.name,
            [
                f"row {row}: {name} has {len(tagged)} tags for {len(words)} tokens; give one a token"
                for row, (words, tagged) in pairs
                if len(words) != len(tagged)
            ],
        )
        named = self._named(table, name, tags)
        return [
            {"words": self._places(words), "tags": _bio(table.name, row, tagged)}
            for row, (words, tagged) in enumerate(zip(tokens, named, strict=True), 1)
        ]

    def label_names(self, train: Rows, table: Table) -> list[str]:
        """O, then B- and I- of each type in natural order."""
        types = label_rows.ordered((kind for target in train.targets for kind, _, _ in spans_of(target["tags"])), None)
        if not types:
            raise InputError(f"{train.name}: no training row has an entity; there is nothing to learn")
        labels = [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]
        self._weight = class_weights(self.recipe.model_head.class_weights, labels, _tag_counts(train))
        return labels

    def require_known(self, rows: Rows, labels: Sequence[str]) -> None:
        """A held-out entity's type must occur in the training rows."""
        found = (
            (number, f"B-{kind}")
            for number, target in zip(rows.numbers, rows.targets, strict=True)
            for kind, _, _ in spans_of(target["tags"])
        )
        label_rows.require_known(rows, found, labels, self.label_column)

    def label_counts(self, rows: Rows) -> dict[str, int]:
        """Entities of each type, under the tag that begins them, and all other tags."""
        return dict(_tag_counts(rows))

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """How far windows overlap: by default a quarter."""
        stride = self.data.stride if self.data.stride is not None else max_length // 4
        return serving.TokenClassificationSettings(stride=stride)

    def tune_settings(
        self, task: Task, encoded: Sequence[Encoded], logits: Sequence[list[Logits]], rows: Rows
    ) -> TaskSettings:
        """The bias of O that gives the validation rows the best F1."""

        def f1(bias: float) -> float:
            biased = self.task(task.labels, task.settings.model_copy(update={"outside_bias": bias}))
            answers = [biased.decode(each, windows) for each, windows in zip(encoded, logits, strict=True)]
            return self.metrics(rows, answers)["f1"]

        best = max(BIASES, key=lambda bias: (f1(bias), -abs(bias)))
        return task.settings.model_copy(update={"outside_bias": best})

    def examples(self, task: Task, encoded: list[Encoded], target: dict[str, Any]) -> list[Example]:
        """Each window with a label number a token, -100 for special ones."""
        numbers = {label: at for at, label in enumerate(task.labels)}
        return [
            Example((window,), [numbers.get(tag, -100) for tag in _token_tags(window, target)])
            for window in encoded[0].windows
        ]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """Cross-entropy or focal loss of each token."""
        smoothing = (self.recipe.training.label_smoothing_factor or 0.0) if training else 0.0
        gamma = self.recipe.model_head.focal_gamma if self.recipe.loss == "focal" and training else None
        weight = self._weight if training else None
        return one_of(logits.flatten(0, 1), labels.flatten(), smoothing=smoothing, weight=weight, gamma=gamma)

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """F1, precision and recall of whole entities; an answered one takes in the data's words that it touches."""
        found = entity_scores([target["tags"] for target in rows.targets], list(_answered_tags(rows, answers)))
        return {"f1": found.f1, "precision": found.precision, "recall": found.recall}

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        """F1 from each row's entities: rightly answered, answered, expected."""
        if metric != "f1":
            return super().weighted_metric(metric, rows, answers)
        pairs = self._spans(rows, answers)
        counts = np.array([[len(wanted & given), len(given), len(wanted)] for wanted, given in pairs], dtype=float)
        return f1_of(counts[:, :1], counts[:, 1:2], counts[:, 2:], "micro")

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        """Whether a row's entities are all found, and no others."""
        return [wanted == given for wanted, given in self._spans(rows, answers)]

    def _spans(self, rows: Rows, answers: Sequence[Any]) -> Iterator[tuple[set[Span], set[Span]]]:
        """Each row's entities, expected and answered."""
        for target, tags in zip(rows.targets, _answered_tags(rows, answers), strict=True):
            yield set(spans_of(target["tags"])), set(spans_of(tags))

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        """Figures a type of entity."""
        found = entity_scores([target["tags"] for target in rows.targets], list(_answered_tags(rows, answers)))
        return {"per_label": {kind: asdict(score) for kind, score in found.per_type.items()}}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        """The most confident entities that are not there."""
        wrong = []
        for at, answer in enumerate(answers):
            expected = set(_expected_places(rows.targets[at]))
            wrong += [
                (entity["score"], at, entity)
                for entity in answer
                if (entity["entity_group"], entity["start"], entity["end"]) not in expected
            ]
        return [
            {
                "row": rows.numbers[at],
                "text": rows.inputs[at],
                "expected": "; ".join(f"{k} {rows.inputs[at][s:e]}" for k, s, e in _expected_places(rows.targets[at]))
                or "none",
                "answered": f"{entity['entity_group']} {entity['word']}",
                "confidence": score,
            }
            for score, at, entity in sorted(wrong, key=lambda each: -each[0])[:most]
        ]

    def _tokens(self, table: Table) -> list[list[str]]:
        return columns.column(table, "data.text", self.data.text or self.default_text, _list_problem)

    def _places(self, words: Sequence[str]) -> list[list[int]]:
        places, start = [], 0
        for word in words:
            places.append([start, start + len(word)])
            start += len(word) + len(self.data.word_separator)
        return places

    def _named(self, table: Table, name: str, tags: list[list[Any]]) -> list[list[str]]:
        """Tags as text: numbers become the data set's own names, or those of ``data.label_names``."""
        names = label_rows.names_of_numbers(self.data) or table.label_names.get(name)
        flat = [columns.label_name(tag) for row in tags for tag in row]
        places = [number for number, row in enumerate(tags, 1) for _ in row]
        numbered = names if flat and all(tag.isdecimal() for tag in flat) else None
        found = iter(label_rows.named(flat, numbered, table.name, places))
        return [[next(found) for _ in row] for row in tags]


def _bio(name: str, row: int, tags: Sequence[str]) -> list[str]:
    try:
        return to_bio(tags)
    except InputError as error:
        raise InputError(f"{name} (rows counted from 1, without a header), row {row}: {error}") from None


def _list_problem(value: Any) -> str | None:
    if value is None:
        return "is missing"
    if not isinstance(value, (list, tuple)):
        return f"is {json_type(value)}; a list is needed, one element a token"
    if not value:
        return "is an empty list"
    return None if all(isinstance(each, (str, int)) for each in value) else "holds something else than texts"


def _tag_counts(rows: Rows) -> Counter[str]:
    return Counter(tag for target in rows.targets for tag in target["tags"])


def _token_tags(window: Encoding, target: dict[str, Any]) -> Iterator[str]:
    """Each token's tag: that of the word it begins in, I- for all but the word's first; none for special tokens."""
    words, tags = target["words"], target["tags"]
    at, seen = 0, -1
    for (start, end), special in zip(window.offsets, window.special_tokens_mask, strict=True):
        if special or start == end:
            yield ""
            continue
        # A token that takes in the space before its word begins where the word before ends.
        while at < len(words) - 1 and words[at][1] <= start:
            at += 1
        tag = tags[at]
        yield f"I-{tag[2:]}" if tag[:2] == "B-" and at == seen else tag
        seen = at


def _answered_tags(rows: Rows, answers: Sequence[Any]) -> Iterator[list[str]]:
    for target, answer in zip(rows.targets, answers, strict=True):
        tags = [OUTSIDE] * len(target["words"])
        for entity in answer:
            inside = [
                at
                for at, (start, end) in enumerate(target["words"])
                if start < entity["end"] and entity["start"] < end and tags[at] == OUTSIDE
            ]
            for place, at in enumerate(inside):
                tags[at] = f"{'I' if place else 'B'}-{entity['entity_group']}"
        yield tags


def _expected_places(target: dict[str, Any]) -> list[tuple[str, int, int]]:
    words = target["words"]
    return [(kind, words[start][0], words[end - 1][1]) for kind, start, end in spans_of(target["tags"])]
