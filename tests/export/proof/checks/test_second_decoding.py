"""The second decoding by itself, on logits made by hand: it takes the answer that follows from them, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from export.proof.checks import decoding
from export.proof.checks.decoding import (
    check_decoding,
    follows_classification,
    follows_entities,
    follows_multi_label,
    follows_regression,
    follows_span,
    follows_vector,
)
from serving.tasks.base import Encoded, Logits, Task
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionSettings
from serving.tasks.multi_label_classification import MultiLabelClassification, MultiLabelSettings
from serving.tasks.question_answering import QuestionAnswering, QuestionAnsweringSettings
from serving.tasks.regression import Regression, RegressionSettings
from serving.tasks.text_classification import TextClassification, TextClassificationSettings
from serving.tasks.token_classification import TokenClassification, TokenClassificationSettings
from tests.serving.tasks.hand_made import LIMITS, encode, one_row, row, tokenizer_of
from tests.serving.tasks.test_question_answering import asked, asker, model

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
CONTEXT = "  She lived in London\u0301 ,  before she moved to Cairo ; our meeting is in Berlin  "
TEXT = "Ann Mary Smith and Bob met in New York, not in Paris\u0301 or La Paz  "


def classifier(labels: Sequence[str], **settings: Any) -> TextClassification:
    return TextClassification(labels, TextClassificationSettings(**settings), LIMITS)


def moved(answer: list[dict[str, Any]], at: int, by: float) -> list[dict[str, Any]]:
    """The score at a place moved."""
    return [each | {"score": each["score"] + by * (place == at)} for place, each in enumerate(answer)]


CLASSIFIERS = [
    (classifier("abc"), (0.3, 2.0, -1.0)),
    (classifier("abc", temperature=2.5), (0.3, 2.0, -1.0)),
    (classifier("ab", threshold=0.9), (0.5, 2.0)),
    (classifier("ab", threshold=0.1), (2.0, 0.5)),
    (classifier("ab", one_logit=True), (1.5,)),
    (classifier("ab", one_logit=True, threshold=0.7, temperature=0.5), (0.6,)),
]


@pytest.mark.parametrize(("task", "logits"), CLASSIFIERS)
def test_a_classifiers_answer(task: TextClassification, logits: tuple[float, ...]) -> None:
    """All labels with their probabilities, the answered one first, whether the highest or by the threshold."""
    encoded, rows = one_row(*logits)
    answer: list[Any] = task.decode(encoded, rows)

    def follows(given: list[Any]) -> bool:
        return follows_classification(task, encoded, rows, given)

    assert follows(answer)
    assert follows(moved(answer, 1, 5e-7))
    assert not follows(moved(answer, 0, 2e-6))
    assert not follows(moved(answer, len(answer) - 1, -2e-6))
    assert not follows(answer[:-1])
    assert not follows([answer[1], answer[0], *answer[2:]])
    if len(answer) > 2:
        assert not follows([answer[0], *reversed(answer[1:])])


def test_a_tie_may_be_answered_either_way() -> None:
    """Equal probabilities, and one that is the threshold."""
    both = [{"label": "a", "score": 0.5}, {"label": "b", "score": 0.5}]
    for task in (classifier("ab"), classifier("ab", threshold=0.5)):
        assert follows_classification(task, *one_row(0.0, 0.0), both)
        assert follows_classification(task, *one_row(0.0, 0.0), both[::-1])


@pytest.mark.parametrize(
    "settings",
    [{}, {"thresholds": [0.6, 0.2, 0.9]}, {"thresholds": [0.6, 0.2, 0.9], "scales": [2, 1, 0.5], "biases": [1, -1, 0]}],
)
def test_the_labels_at_their_thresholds(settings: dict[str, Any]) -> None:
    """Each label by itself; none of them too many or missing, nor a score or the order wrong."""
    task = MultiLabelClassification("abc", MultiLabelSettings(**settings), LIMITS)
    for logits in ((0.3, 0.1, 4.0), (-0.5, -1.0, 2.0), (2.0, 3.0, 1.0), (-9.0, -9.0, -9.0)):
        encoded, rows = one_row(*logits)
        answer: list[Any] = task.decode(encoded, rows)
        probabilities = dict(zip("abc", task.probabilities(rows[0]).tolist(), strict=True))

        def follows(given: list[Any], encoded: Encoded = encoded, rows: list[Logits] = rows) -> bool:
            return follows_multi_label(task, encoded, rows, given)

        assert follows(answer)
        for at, each in enumerate(answer):
            assert not follows([*answer[:at], *answer[at + 1 :]])
            assert not follows(moved(answer, at, 2e-6))
            probabilities.pop(each["label"])
        assert not any(follows([*answer, {"label": label, "score": p}]) for label, p in probabilities.items())
        if len(answer) == 3:
            assert not follows([answer[0], answer[2], answer[1]])


def test_a_number_has_its_unit() -> None:
    """Mean and standard deviation of the targets; a millionth may be rounding."""
    task = Regression(["value"], RegressionSettings(mean=100.0, std=8.0), LIMITS)
    encoded, rows = one_row(0.5)
    (answer,) = task.decode(encoded, rows)
    assert answer["score"] == 104
    for score, follows in ((104.0, True), (104.0001, True), (104.001, False), (103.999, False), (4.0, False)):
        assert follows_regression(task, encoded, rows, [{"score": score}]) is follows
    encoded, rows = one_row(-12.5)  # the number is zero, where only the standard deviation says what is little
    for score, follows in ((7.9e-6, True), (8.1e-6, False)):
        assert follows_regression(task, encoded, rows, [{"score": score}]) is follows


def test_a_vector_has_length_one() -> None:
    """And the direction of the logits, in each number."""
    task = FeatureExtraction([], FeatureExtractionSettings(dimensions=3), LIMITS)
    encoded, rows = one_row(3.0, 0.0, -4.0)
    assert follows_vector(task, encoded, rows, task.decode(encoded, rows))
    assert follows_vector(task, encoded, rows, [0.6, 0.0, -0.8 + 9e-7])
    assert not follows_vector(task, encoded, rows, [0.6, 0.0, -0.8 + 2e-6])
    assert not follows_vector(task, encoded, rows, [3.0, 0.0, -4.0])


def windows_of(task: Task, item: Any, length: int, kind: str) -> Encoded:
    return encode(tokenizer_of(kind, task, length), task, item)


def random_logits(encoded: Encoded, width: int, seed: int) -> list[Logits]:
    random = np.random.default_rng(seed)
    return [random.normal(0, 3, (len(each.ids), width)).astype(np.float32) for each in encoded.windows]


def passages(**options: Any) -> Iterator[tuple[QuestionAnswering, Encoded, list[Logits], Any]]:
    """Random logits for a context in one window and in several, and what is answered."""
    task = QuestionAnswering([], QuestionAnsweringSettings(**{"stride": 4, "max_answer_len": 4} | options), LIMITS)
    for length, kind in ((512, "mBERT"), (24, "mBERT"), (24, "RoBERTa")):
        encoded = windows_of(task, ("where is it?", CONTEXT), length, kind)
        for seed in range(6):
            logits = random_logits(encoded, 2, seed)
            yield task, encoded, logits, task.decode(encoded, logits)


@pytest.mark.parametrize("options", [{}, {"no_answer_threshold": -10.0}, {"no_answer_threshold": -12.0}])
def test_a_passage_is_the_best_one(options: dict[str, Any]) -> None:
    """The answer is taken; with a place or a text that is another's, or as no answer where there is one, it is not."""
    kinds = set()
    for task, encoded, logits, answer in passages(**options):
        place = answer["start"], answer["end"]
        kinds.add(place == (0, 0))
        assert follows_span(task, encoded, logits, answer)
        assert not follows_span(task, encoded, logits, answer | {"answer": answer["answer"] + " "})
        for start, end in {(0, 0), (2, 5), (6, 11), (place[0] + 1, place[1]), (place[0], place[1] - 1)} - {place}:
            wrong = {"answer": CONTEXT[start:end], "start": start, "end": end}
            assert not follows_span(task, encoded, logits, wrong), (place, wrong)
    assert kinds == ({True, False} if options else {False})


@pytest.mark.parametrize(
    ("threshold", "nothing", "right"),
    [
        (None, 9.0, {"London"}),
        (0.0, 5.9, {"London"}),
        (0.0, 6.0, {"London", ""}),  # as good as each other
        (0.0, 6.1, {""}),
        (2.0, 7.9, {"London"}),
        (2.0, 8.0, {"London", ""}),
        (2.0, 8.1, {""}),
        (-2.0, 3.9, {"London"}),
        (-2.0, 4.1, {""}),
    ],
)
def test_no_answer_is_past_the_threshold(threshold: float | None, nothing: float, right: set[str]) -> None:
    """Where it is not past the best passage by more than the threshold, that passage is the answer."""
    task = asker(no_answer_threshold=threshold)
    encoded = asked(task=task)
    logits = model(encoded, {"London": 6.0, "Berlin": 4.0}, nothing)
    found = set()
    for word in ("London", "Berlin", ""):
        start = encoded.item[1].index(word)
        if follows_span(task, encoded, logits, {"answer": word, "start": start, "end": start + len(word)}):
            found.add(word)
    assert found == right


def test_white_space_answers_nothing() -> None:
    """Of a context without a visible character only no answer follows, whatever the logits say."""
    task = QuestionAnswering([], QuestionAnsweringSettings(stride=0), LIMITS)
    for context, kind in (("", "mBERT"), ("   ", "RoBERTa")):
        encoded = windows_of(task, ("is it?", context), 64, kind)
        logits = [np.zeros((len(each.ids), 2), dtype=np.float32) for each in encoded.windows]
        assert follows_span(task, encoded, logits, {"answer": "", "start": 0, "end": 0})
        assert not follows_span(task, encoded, logits, {"answer": " ", "start": 0, "end": 1})


@pytest.mark.parametrize(("length", "kind"), [(512, "mBERT"), (12, "mBERT"), (12, "RoBERTa")])
@pytest.mark.parametrize("bias", [0.0, 3.0])
def test_entities_are_those_of_the_best_sequence(length: int, kind: str, bias: float) -> None:
    """They are taken; one missing, one of another type and one that is shorter are not."""
    task = TokenClassification(TAGS, TokenClassificationSettings(stride=4, outside_bias=bias), LIMITS)
    encoded, found = windows_of(task, TEXT, length, kind), 0
    for seed in range(3):
        logits = random_logits(encoded, len(TAGS), seed)
        answer: list[Any] = task.decode(encoded, logits)
        found += len(answer)

        def follows(given: list[Any], logits: list[Logits] = logits) -> bool:
            return follows_entities(task, encoded, logits, given)

        assert follows(answer)
        for at, each in enumerate(answer):
            assert not follows([*answer[:at], *answer[at + 1 :]])
            for key, value in (("entity_group", "ORG"), ("start", each["start"] + 1), ("end", each["end"] + 1)):
                assert not follows([*answer[:at], each | {key: value}, *answer[at + 1 :]])
    assert found > 8


def test_a_text_of_no_word_has_no_entities() -> None:
    """Whatever the logits say."""
    task = TokenClassification(TAGS, TokenClassificationSettings(), LIMITS)
    for text, kind in (("", "mBERT"), ("   ", "RoBERTa")):
        encoded = windows_of(task, text, 64, kind)
        logits = [np.tile(row(0, 9, 0, 0, 0), (len(each.ids), 1)) for each in encoded.windows]
        assert follows_entities(task, encoded, logits, [])
        assert not follows_entities(task, encoded, logits, [{"entity_group": "PER", "start": 0, "end": 1}])


def test_a_sample_is_spread_over_all_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first to the last; the first item that is wrong is named, shortened to 80 characters."""
    task = Regression(["value"], RegressionSettings(mean=0.0, std=1.0), LIMITS)
    encoded = [Encoded(f"{at} " + "x" * 100, []) for at in range(21)]
    served: Any = SimpleNamespace(
        predictor=SimpleNamespace(task=task),
        encoded=encoded,
        results=[[row(at)] for at in range(21)],
        answers=[[{"score": float(at + (at in (10, 11, 20)))}] for at in range(21)],
    )
    found = check_decoding(served)
    assert (found.compared, found.different, found.worst) == (21, 3, encoded[10].item[:80])
    monkeypatch.setattr(decoding, "MOST", 3)
    found = check_decoding(served)
    assert (found.compared, found.different, found.worst) == (3, 2, encoded[10].item[:80])
