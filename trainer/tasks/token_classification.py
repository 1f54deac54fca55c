"""Token classification: a text's entities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from serving.errors import InputError
from serving.tasks import token_classification as serving
from serving.tasks.activations import log_odds
from serving.tasks.base import Encoded, Task, TaskSettings
from serving.tasks.token_classification import OUTSIDE
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.calibration import Forecasts, binary_forecasts
from trainer.metrics.changes import PROBABILITY, Changes, Side, score_changes
from trainer.metrics.entities import EntityScores, Span, entity_scores, spans_of
from trainer.metrics.resampling import WeightedMetric, f1_of
from trainer.metrics.scaling import fit_platt
from trainer.model.base_model import BaseCheckpoint
from trainer.model.inference import RowLogits
from trainer.model.inputs import IGNORED
from trainer.recipe.defaults import stride
from trainer.tasks import labels as label_rows
from trainer.tasks.base import USUAL_LENGTH, Example, MetricValues, TrainingTask
from trainer.tasks.calibration import Calibrated
from trainer.tasks.losses import class_weights, softmax_loss
from trainer.tasks.scoring import label_figures, mistake
from trainer.tasks.soft_answers import TAGS, SoftAnswers
from trainer.tasks.tagged_rows import TaggedRows
from trainer.tasks.word_tags import answered_tags, entity_places, tags_probability, token_tags

BIASES = (-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)
"""The candidates for `outside_bias`."""


class TokenClassification(TaggedRows, TrainingTask):
    """`word_tags` says what a target is, `tagged_rows` what is read."""

    serves = serving.TokenClassification
    head = "token"

    def imported_settings(self, rows: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """Each word by itself, as transformers' pipeline reads it: others train on other schemes than BIO."""
        return self.settings(rows, labels, max_length).model_copy(update={"well_formed": False})

    def imported_length(self, base: BaseCheckpoint, longest: int) -> int:
        """Longer texts are read in windows."""
        return min(base.max_length or USUAL_LENGTH, USUAL_LENGTH)

    def known_labels(self, labels: Sequence[str]) -> list[str]:
        return [f"B-{tag[2:] if tag[:2] in ('B-', 'I-') else tag}" for tag in labels if tag != OUTSIDE]

    def has_targets(self, table: Table) -> bool:
        return self.recipe.imported is None or self.data.label is not None or self._columns(table)[1] in table.columns

    def label_names(self, train: Rows, table: Table) -> list[str]:
        """O, then B- and I- of each type in natural order."""
        types = label_rows.sort_labels((tag[2:] for _, tag in self.row_labels(train)), None)
        if not types:
            raise InputError(f"{train.name}: no training row has an entity; there is nothing to learn")
        labels = [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]
        self._weight = class_weights(self.recipe.model_head.class_weights, labels, self.label_counts(train))
        return labels

    def without_rows(self, labels: Sequence[str]) -> list[str]:
        """Names may be of another scheme of tags than the labels."""
        return []

    def row_labels(self, rows: Rows) -> Iterable[tuple[int, str]]:
        """The tags that begin entities."""
        pairs = zip(rows.numbers, rows.targets, strict=True)
        return ((number, f"B-{kind}") for number, target in pairs for kind, _, _ in spans_of(target["tags"]))

    def label_counts(self, rows: Rows) -> dict[str, int]:
        return dict(Counter(tag for target in rows.targets for tag in target["tags"]))

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        return serving.TokenClassificationSettings(stride=stride(self.recipe, max_length), **self.answer_settings())

    def tune_settings(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> TaskSettings:
        """The smallest bias of O with the best validation F1."""

        def f1(bias: float) -> float:
            biased = self.task(task.labels, task.settings.model_copy(update={"outside_bias": bias}))
            answers = [biased.decode(each, windows) for each, windows in zip(encoded, logits, strict=True)]
            return self.metrics(rows, answers)["f1"]

        best = max(BIASES, key=lambda bias: (f1(bias), -abs(bias)))
        return task.settings.model_copy(update={"outside_bias": best})

    def without_calibration(self, settings: TaskSettings) -> TaskSettings:
        return settings.model_copy(update={"scale": 1.0, "bias": 0.0})

    def calibrate(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Calibrated:
        """A scale and a bias for the log odds of an entity's score, as it is right: type, start and end."""
        found = self.forecasts(task, encoded, logits, rows)
        scale, bias, fit = fit_platt(log_odds(found.confidences), found.correct)
        return Calibrated(task.settings.model_copy(update={"scale": scale, "bias": bias}), fit.pays, fit)

    def forecasts(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Forecasts:
        """Of each answered entity."""
        answers = [
            (at, entity["score"], (entity["entity_group"], entity["start"], entity["end"]) in places)
            for at, (each, windows, target) in enumerate(zip(encoded, logits, rows.targets, strict=True))
            for places in (set(entity_places(target)),)
            for entity in task.decode(each, windows)
        ]
        return binary_forecasts(len(rows), answers)

    def examples(self, task: Task, encoded: list[Encoded], target: dict[str, Any]) -> list[Example]:
        numbers = {label: at for at, label in enumerate(task.labels)}
        return [
            Example((window,), [numbers.get(tag, IGNORED) for tag in token_tags(window, target)])
            for window in encoded[0].windows
        ]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        return softmax_loss(
            logits.flatten(0, 1),
            labels.flatten(),
            smoothing=self.smoothing(training),
            weight=self._weight if training else None,
            gamma=self.focal_gamma(training),
        )

    def soft_answers(self) -> SoftAnswers:
        return TAGS

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        scores = _entity_scores(rows, answers).micro
        return {"f1": scores.f1, "precision": scores.precision, "recall": scores.recall}

    def expected(self, rows: Rows) -> list[Any]:
        return [target["tags"] for target in rows.targets]

    def answered(self, rows: Rows, answers: Sequence[Any]) -> list[Any]:
        return answered_tags(rows, answers)

    def constants(self, rows: Rows) -> Iterator[list[Any]]:
        """No entity anywhere."""
        yield [[OUTSIDE] * len(tags) for tags in self.expected(rows)]

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        pairs = _entity_pairs(rows, answers)
        counts = np.array([[len(e & a), len(a), len(e)] for e, a in pairs], dtype=float)
        return f1_of(counts[:, :1], counts[:, 1:2], counts[:, 2:], "micro")

    def is_correct(self, rows: Rows, answers: Sequence[Any]) -> list[bool]:
        return [expected == answered for expected, answered in _entity_pairs(rows, answers)]

    def changes(self, before: Side, after: Side) -> Changes:
        """Of the scores of entities that both sides find."""
        scores, others = _scores(before.decode()), _scores(after.decode())
        both = {place: score for place, score in scores.items() if place in others}
        return {PROBABILITY: score_changes(both, others, missing=np.nan)}

    def crosses_threshold(self, before: Side, after: Side) -> bool:
        """Only whether there is an entity differs, which O's bias decides."""
        found, others = _scores(before.decode()).keys(), _scores(after.decode()).keys()
        return found < others or others < found

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        pairs = list(_entity_pairs(rows, answers))
        hits, answered, expected = (
            Counter(span[0] for spans in sides for span in spans)
            for sides in ([e & a for e, a in pairs], [a for _, a in pairs], [e for e, _ in pairs])
        )
        kinds = sorted(expected | answered)
        return {"per_label": {kind: label_figures(hits[kind], answered[kind], expected[kind]) for kind in kinds}}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        expected = [entity_places(target) for target in rows.targets]
        wrong = [
            (at, entity)
            for at, answer in enumerate(answers)
            for entity in answer
            if (entity["entity_group"], entity["start"], entity["end"]) not in expected[at]
        ]
        return [
            mistake(
                rows,
                at,
                expected="; ".join(f"{kind} {rows.inputs[at][s:e]}" for kind, s, e in expected[at]) or "none",
                answered=f"{entity['entity_group']} {entity['word']}",
                confidence=entity["score"],
            )
            for at, entity in sorted(wrong, key=lambda each: -each[1]["score"])[:most]
        ]

    def misses(
        self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows, answers: Sequence[Any]
    ) -> list[dict[str, Any]]:
        """``confidence`` is the mean probability of the entity's own tags."""
        found = []
        columns = zip(encoded, logits, rows.targets, answers, strict=True)
        for at, (item, windows, target, answered) in enumerate(columns):
            given = {(each["entity_group"], each["start"], each["end"]) for each in answered}
            for place in [place for place in entity_places(target) if place not in given]:
                kind, start, end = place
                touching = [each for each in answered if each["start"] < end and start < each["end"]]
                shown = "; ".join(f"{each['entity_group']} {each['word']}" for each in touching) or "none"
                score = tags_probability(task.labels, item.windows, windows, target, place)
                expected = f"{kind} {rows.inputs[at][start:end]}"
                found.append(mistake(rows, at, expected=expected, answered=shown, confidence=score))
        return found


def _scores(answer: Any) -> dict[tuple[str, int, int], float]:
    return {(each["entity_group"], each["start"], each["end"]): each["score"] for each in answer}


def _entity_scores(rows: Rows, answers: Sequence[Any]) -> EntityScores:
    return entity_scores([target["tags"] for target in rows.targets], answered_tags(rows, answers))


def _entity_pairs(rows: Rows, answers: Sequence[Any]) -> Iterator[tuple[set[Span], set[Span]]]:
    """Expected and answered, by row."""
    for target, tags in zip(rows.targets, answered_tags(rows, answers), strict=True):
        yield set(spans_of(target["tags"])), set(spans_of(tags))
