"""Answers decoded a second time, by torch and brute force: both sides of the proof share `serving`'s decoding.

Each check reads a served answer, the logits and the task's settings, and says whether the answer follows from them.
Words are `serving.tasks.spans`' own on both sides, as are the texts of generating models, whose tokens
transformers decodes for the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category

import numpy as np
import torch
from torch import Tensor

from export.proof.answers.served_answers import ServedAnswers
from serving.tasks.base import Encoded, Logits, Task
from serving.tasks.spans import Token, group_words, trim, visible_tokens

MOST = 2_000
"""Items that are decoded twice, evenly spread: an answer has every label."""

TOLERANCE = 1e-6
TIE = 1e-5
"""Between float32 logits."""

SMALLEST = 1e-30

Check = Callable[[Any, Encoded, Sequence[Logits], Any], bool]


@dataclass(frozen=True)
class Decoding:
    """``different``: items whose answer does not follow from its logits."""

    compared: int
    different: int
    worst: str


def check_decoding(served: ServedAnswers) -> Decoding:
    task = served.predictor.task
    check = CHECKS.get(task.name)
    count = min(MOST, len(served.encoded)) if check else 0
    places = np.linspace(0, len(served.encoded) - 1, count).round().astype(int).tolist()
    wrong = [place for place in places if check and not _follows(check, task, served, place)]
    return Decoding(len(places), len(wrong), str(served.encoded[wrong[0]].item)[:80] if wrong else "")


def _follows(check: Check, task: Task, served: ServedAnswers, place: int) -> bool:
    encoded, results = served.encoded[place], served.results[place]
    answer = task.decode(encoded, results) if task.postprocess else served.answers[place]
    return check(task, encoded, results, answer)


def follows_classification(task: Any, encoded: Encoded, logits: Sequence[Logits], answer: Any) -> bool:
    settings = task.settings
    values = _of_text(settings, logits) / getattr(settings, "temperature", 1.0)
    if settings.one_logit:
        values = torch.cat([torch.zeros(1, dtype=torch.float64), values])
    scores = dict(zip(task.labels, torch.softmax(values, dim=0).tolist(), strict=True))
    best = answer[0]["label"]
    if settings.threshold is None:
        right = scores[best] >= max(scores.values()) - TOLERANCE
    else:
        right = _reaches(scores[task.labels[1]], settings.threshold, best == task.labels[1])
    return right and len(answer) == len(scores) and _same_scores(answer, scores)


def follows_multi_label(task: Any, encoded: Encoded, logits: Sequence[Logits], answer: Any) -> bool:
    settings, values = task.settings, _of_text(task.settings, logits)
    if scales := getattr(settings, "scales", []):
        values = values * torch.tensor(scales) + torch.tensor(settings.biases)
    scores = dict(zip(task.labels, torch.sigmoid(values).tolist(), strict=True))
    answered = {each["label"] for each in answer}
    thresholds = settings.thresholds or [0.5] * len(scores)
    decided = zip(scores.items(), thresholds, strict=True)
    return _same_scores(answer, scores) and all(
        _reaches(score, threshold, label in answered) for (label, score), threshold in decided
    )


def follows_regression(task: Any, encoded: Encoded, logits: Sequence[Logits], answer: Any) -> bool:
    output = _of_text(task.settings, logits)[0]
    output = torch.sigmoid(output) if task.settings.function_to_apply == "sigmoid" else output
    number = float(output) * task.settings.std + task.settings.mean
    return math.isclose(answer[0]["score"], number, rel_tol=TOLERANCE, abs_tol=TOLERANCE * task.settings.std)


def follows_vector(task: Any, encoded: Encoded, logits: Sequence[Logits], answer: Any) -> bool:
    return torch.allclose(
        _doubles(answer), torch.nn.functional.normalize(_doubles(logits[0]), dim=0), rtol=0, atol=TOLERANCE
    )


def follows_span(task: Any, encoded: Encoded, logits: Sequence[Logits], answer: Any) -> bool:
    """The answer's logit is the largest of all spans', or "no answer" is past it by more than the threshold."""
    context, place = encoded.item[1], (answer["start"], answer["end"])
    if answer["answer"] != context[place[0] : place[1]]:
        return False
    found: dict[tuple[int, int], float] = {}
    for window, scores in zip(encoded.windows, logits, strict=True):
        for span, score in _spans(window, _doubles(scores), task.settings.max_answer_len):
            left, right = _visible(context, *span)
            if left < right:
                found[left, right] = max(score, found.get((left, right), -math.inf))
    if not found:
        return place == (0, 0)
    best, threshold = max(found.values()), task.settings.no_answer_threshold
    nothing = min(float(_doubles(window)[0].sum()) for window in logits)
    past = -math.inf if threshold is None else nothing - best - threshold
    if place == (0, 0):
        return past >= -TIE
    return past <= TIE and found.get(place, -math.inf) >= best - TIE


def follows_entities(task: Any, encoded: Encoded, logits: Sequence[Logits], answer: Any) -> bool:
    text, entities = encoded.item, [(each["entity_group"], each["start"], each["end"]) for each in answer]
    tokens = visible_tokens(text, list(_tokens(encoded.windows, task.settings.stride)))
    outside = torch.tensor([task.settings.outside_bias * (label == "O") for label in task.labels])
    words, rows = [], []
    for word in group_words(text, tokens) if tokens else []:
        start, end = trim(text, word[0].start, word[-1].end)
        if start < end:
            words.append((start, end))
            rows.append(torch.softmax(_doubles(logits[word[0].window][word[0].row]) + outside, dim=0).tolist())
    if not task.settings.well_formed:
        tags = [task.labels[int(np.argmax(row))] for row in rows]
        return entities == list(_read_neighbours(words, tags))
    return entities == list(_read_tags(words, _best_tags(rows, task.labels)))


CHECKS: dict[str, Check] = {
    "text-classification": follows_classification,
    "multi-label-classification": follows_multi_label,
    "regression": follows_regression,
    "feature-extraction": follows_vector,
    "question-answering": follows_span,
    "token-classification": follows_entities,
}


def _doubles(values: Any) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def _of_text(settings: Any, logits: Sequence[Logits]) -> Tensor:
    """Of a text's windows, the mean or the largest of each label's logits."""
    if not settings.windows:
        return _doubles(logits[0])
    total = sum(map(_doubles, logits), start=torch.zeros(1, dtype=torch.float64))
    largest = torch.stack([_doubles(each) for each in logits]).amax(dim=0)
    return largest if settings.windows.aggregation == "max" else total / len(logits)


def _same_scores(answer: Any, scores: dict[str, float]) -> bool:
    numbers = [each["score"] for each in answer]
    return all(abs(each["score"] - scores[each["label"]]) <= TOLERANCE for each in answer) and (
        numbers[1:] == sorted(numbers[1:], reverse=True)
    )


def _reaches(score: float, threshold: float, answered: bool) -> bool:
    return abs(score - threshold) <= TOLERANCE or (score >= threshold) == answered


def _spans(window: Any, logits: Tensor, longest: int) -> Iterator[tuple[tuple[int, int], float]]:
    """Of the second text's tokens; those that score the most, of which one at least is no white space."""
    rows = [row for row, sequence in enumerate(window.sequence_ids) if sequence == 1]
    if not rows:
        return
    offsets = window.offsets
    scores = logits[rows, 0][:, None] + logits[rows, 1][None, :]
    reach = torch.ones_like(scores).triu() - torch.ones_like(scores).triu(longest)
    scores = scores.masked_fill(reach == 0, -math.inf).flatten()
    for at in scores.topk(min(32, len(scores))).indices.tolist():
        if math.isfinite(scores[at]):
            first, last = divmod(at, len(rows))
            yield (offsets[rows[first]][0], offsets[rows[last]][1]), float(scores[at])


def _visible(text: str, start: int, end: int) -> tuple[int, int]:
    """Without white space around; with the marks that follow."""
    part = text[start:end]
    start, end = start + len(part) - len(part.lstrip()), start + len(part.rstrip())
    while start < end < len(text) and category(text[end]).startswith("M"):
        end += 1
    return start, end


def _tokens(windows: Sequence[Any], stride: int) -> Iterator[Token]:
    """Each of the text's tokens, from the window where it is furthest from an edge."""
    rows = [[row for row, special in enumerate(each.special_tokens_mask) if not special] for each in windows]
    step = len(rows[0]) - stride
    columns = [(each.offsets, each.word_ids) for each in windows]
    for at in range((len(windows) - 1) * step + len(rows[-1])):
        inside = [(number, at - number * step) for number in range(len(windows))]
        inside = [(number, place) for number, place in inside if 0 <= place < len(rows[number])]
        number, place = max(inside, key=lambda each: min(each[1], len(rows[each[0]]) - 1 - each[1]))
        row = rows[number][place]
        (start, end), word = columns[number][0][row], columns[number][1][row]
        yield Token(start, end, word, number, row)


def _best_tags(rows: Sequence[Sequence[float]], labels: Sequence[str]) -> list[str]:
    """The most probable sequence in which I- follows B- or I- of its type: the best path to each tag, word by word."""
    paths: dict[str, tuple[float, list[str]]] = {"O": (0.0, [])}
    for row in rows:
        logs = {label: math.log(max(score, SMALLEST)) for label, score in zip(labels, row, strict=True)}
        reached = {}
        for label in labels:
            before = [path for last, path in paths.items() if label[:2] != "I-" or last[1:] == label[1:]]
            if before:
                total, tags = max(before, key=lambda path: path[0])
                reached[label] = (total + logs[label], [*tags, label])
        paths = reached
    return max(paths.values(), key=lambda path: path[0])[1]


def _read_neighbours(words: Sequence[tuple[int, int]], tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """A word goes on the entity before it where its tag, without B- or I-, is the same and no B-."""
    bare = [tag[2:] if tag.startswith(("B-", "I-")) else tag for tag in tags]
    begins = [at == 0 or tags[at].startswith("B-") or bare[at] != bare[at - 1] for at in range(len(tags))]
    for at, (begin, tag) in enumerate(zip(begins, tags, strict=True)):
        if begin and tag != "O":
            last = next((after for after in range(at + 1, len(tags)) if begins[after]), len(tags)) - 1
            yield tag.split("-", 1)[-1], words[at][0], words[last][1]


def _read_tags(words: Sequence[tuple[int, int]], tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    entity: list[Any] = []
    for (start, end), tag in zip(words, tags, strict=True):
        if tag[:2] == "I-" and entity:
            entity[2] = end
            continue
        if entity:
            yield entity[0], entity[1], entity[2]
        entity = [] if tag == "O" else [tag[2:], start, end]
    if entity:
        yield entity[0], entity[1], entity[2]
