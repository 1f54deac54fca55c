"""The number that is explained, from the logits of the window that decided the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.errors import InputError
from serving.explain.parameters import ExplainParameters, Place
from serving.explain.segments import tokens_of_text
from serving.tasks.activations import apply_function
from serving.tasks.base import Encoded, Logits, Task
from serving.tasks.feature_extraction import FeatureExtraction
from serving.tasks.generation import Generation
from serving.tasks.inputs import ChangedTextSettings, PairTask
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.question_answering import QuestionAnswering
from serving.tasks.regression import Regression
from serving.tasks.spans import group_words, merge_windows, visible_tokens
from serving.tasks.text_classification import TextClassification
from serving.tasks.token_classification import OUTSIDE, TokenClassification

Read = Callable[[Logits], float]


@dataclass(frozen=True)
class Target:
    """Attributes:
    read: a window's logits to the number.
    description: label, and an entity's or span's start and end.
    window: the deciding one.
    in_place: read at certain tokens, which must not move.
    """

    read: Read
    description: dict[str, Any]
    window: int = 0
    in_place: bool = False


def target_of(task: Task, encoded: Encoded, results: Sequence[Logits], options: ExplainParameters) -> Target:
    """Raises InputError for a target that the answered input does not have."""
    find = next(find for kind, find in TARGETS.items() if isinstance(task, kind))
    return find(task, encoded, results, options)


def unsupported_reason(task: Task) -> str:
    """Why a task has no explanations; empty if it has."""
    if isinstance(task, FeatureExtraction):
        return "a vector is no single number, and no one of its numbers means anything alone: /explain has no target"
    if isinstance(task.settings, ChangedTextSettings) and task.settings.redact:
        return "personal data is replaced before a text is read: an explanation's places would not be those of the text"
    if isinstance(task.settings, ChangedTextSettings) and task.settings.preprocess:
        return "preprocessing changes a text before it is read: an explanation's places would not be those of the text"
    if isinstance(task, Generation):
        return "each token of a generated text would need an explanation of its own: /explain takes other tasks"
    return ""


def _text_classification(
    task: TextClassification, encoded: Encoded, results: Sequence[Logits], options: ExplainParameters
) -> Target:
    label = _select_label(task, options, default=task.answer(encoded, results)[0]["label"])
    at, one_logit = task.labels.index(label), task.settings.one_logit

    def score(logits: Logits) -> float:
        return float(task.scores(logits)[at])

    def logit(logits: Logits) -> float:
        return float(logits[0] if at else -logits[0]) if one_logit else float(logits[at])  # one: the second's log odds

    return _of_text(task, results, score, score if options.output == "probability" else logit, label)


def _multi_label(
    task: MultiLabelClassification, encoded: Encoded, results: Sequence[Logits], options: ExplainParameters
) -> Target:
    answered = task.decode(encoded, results)
    merged = task.merge(results)
    likeliest = answered[0]["label"] if answered else task.labels[int(task.probabilities(merged).argmax())]
    label = _select_label(task, options, default=likeliest)
    at = task.labels.index(label)

    def score(logits: Logits) -> float:
        return float(task.probabilities(logits)[at])

    def logit(logits: Logits) -> float:
        return float(logits[at])

    return _of_text(task, results, score, score if options.output == "probability" else logit, label)


def _regression(task: Regression, encoded: Encoded, results: Sequence[Logits], options: ExplainParameters) -> Target:
    if task.settings.function_to_apply == "none":
        _refuse_probability(options, "a regression's number is none")
    label = _select_label(task, options, default=task.labels[0])
    std, mean, usual = task.settings.std, task.settings.mean, float(np.mean(results))
    log_odds = task.settings.function_to_apply == "sigmoid" and options.output == "logit"
    aggregation = task.settings.windows.aggregation if task.settings.windows else "mean"

    def distance(logits: Logits) -> float:
        return float(logits[0]) if aggregation == "max" else abs(float(logits[0]) - usual)

    def number(logits: Logits) -> float:
        return float(apply_function(logits, task.settings.function_to_apply)[0]) * std + mean

    return _of_text(task, results, distance, (lambda logits: float(logits[0])) if log_odds else number, label)


def _of_text(task: PairTask, results: Sequence[Logits], evidence: Read, read: Read, label: str) -> Target:
    """Of a text in several windows, the one with the most ``evidence`` is masked; the others stay as they are."""
    deciding = int(np.argmax([evidence(logits) for logits in results]))
    before, after = results[:deciding], results[deciding + 1 :]
    return Target(lambda logits: read(task.merge([*before, logits, *after])), {"label": label}, deciding)


def _token_classification(
    task: TokenClassification, encoded: Encoded, results: Sequence[Logits], options: ExplainParameters
) -> Target:
    """The mean of the tag's logit or probability at the first token of each of the entity's words."""
    entity = _select_entity(task.decode(encoded, results), options)
    tokens = visible_tokens(encoded.item, merge_windows(encoded.windows, task.stride))
    words = group_words(encoded.item, tokens)
    # A first token may take in the space before its word, which the entity does not.
    heads = [word[0] for word in words if word[0].start < entity["end"] and entity["start"] < word[-1].end]
    window = heads[0].window
    rows = [token.row for token in heads if token.window == window]
    begin = task.labels.index(f"B-{entity['entity_group']}")
    inside = task.labels.index(f"I-{entity['entity_group']}") if len(rows) > 1 else begin
    columns = [begin, *[inside] * (len(rows) - 1)]

    def read(logits: Logits) -> float:
        if options.output == "logit":
            return float(logits[rows, columns].astype(np.float64).mean())
        biased = logits[rows].copy()
        biased[:, task.labels.index(OUTSIDE)] += task.settings.outside_bias
        return task.score(apply_function(biased, "softmax")[range(len(rows)), columns])

    description = {"label": entity["entity_group"], "start": entity["start"], "end": entity["end"]}
    return Target(read, description, window, in_place=True)


def _question_answering(
    task: QuestionAnswering, encoded: Encoded, results: Sequence[Logits], options: ExplainParameters
) -> Target:
    """The best answer's start logit plus its end logit."""
    _refuse_probability(options, "an answer's is relative to the other passages, which masking words changes")
    if options.target is not None:
        raise InputError("parameters.target: the answer itself is explained; leave it out", field="parameters.target")
    answer = task.decode(encoded, results)
    best = answer[0] if isinstance(answer, list) else answer
    spans = [_find_span(encoded, number, best["start"], best["end"]) for number in range(len(results))]
    totals = [_span_score(logits, span) for logits, span in zip(results, spans, strict=True)]
    # As in the task itself: the best window for a span, the worst for "no answer".
    window = int(np.nanargmax(totals) if best["answer"] else np.nanargmin(totals))
    description = {"label": best["answer"], "start": best["start"], "end": best["end"]}
    return Target(lambda logits: _span_score(logits, spans[window]), description, window, in_place=True)


TARGETS: dict[type[Task], Callable[[Any, Encoded, Sequence[Logits], ExplainParameters], Target]] = {
    TextClassification: _text_classification,
    MultiLabelClassification: _multi_label,
    Regression: _regression,
    TokenClassification: _token_classification,
    QuestionAnswering: _question_answering,
}


def _select_label(task: Task, options: ExplainParameters, default: str) -> str:
    if options.target is None:
        return default
    if options.target not in task.labels:
        named = "a place" if isinstance(options.target, Place) else repr(options.target[:60])
        more = f" and {len(task.labels) - 20} more, see /info" if len(task.labels) > 20 else ""
        raise InputError(
            f"parameters.target: {named} is no label; labels are: {', '.join(task.labels[:20])}{more}",
            field="parameters.target",
        )
    return str(options.target)


def _refuse_probability(options: ExplainParameters, reason: str) -> None:
    if options.output == "probability":
        raise InputError(f"parameters.output: there is no probability to explain: {reason}", field="parameters.output")


def _select_entity(entities: Sequence[Any], options: ExplainParameters) -> Any:
    """At the target's span or first of its type; without a target the most probable."""
    if not entities:
        raise InputError("no entity was found in this text, so there is none to explain")
    if options.target is None:
        return max(entities, key=lambda each: each["score"])
    for entity in entities:
        if options.target in (entity["entity_group"], Place(start=entity["start"], end=entity["end"])):
            return entity
    names = ", ".join(f"{each['entity_group']} at {each['start']}–{each['end']}" for each in entities[:20])
    raise InputError(f"parameters.target: there is no such entity; found were: {names}", field="parameters.target")


def _find_span(encoded: Encoded, number: int, start: int, end: int) -> tuple[int, int] | None:
    """First and last token index; the first token for "no answer"; None if outside the window."""
    if start == end:
        return 0, 0
    tokens = tokens_of_text(1, encoded.item[1], encoded.windows[number])
    inside = [token.row for token in tokens if token.start < end and token.end > start]
    whole = inside and tokens[0].start <= start and tokens[-1].end >= end
    return (inside[0], inside[-1]) if whole else None


def _span_score(logits: Logits, span: tuple[int, int] | None) -> float:
    return float(logits[span[0], 0] + logits[span[1], 1]) if span else float("nan")
