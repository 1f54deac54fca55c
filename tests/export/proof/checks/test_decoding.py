"""Every answer is decoded a second time by other code, so that a fault in the shared decoding is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.proof.answers.reference import ReferenceAnswers, compute_reference_answers, load_reference
from export.proof.answers.served_answers import ServedAnswers, compute_served_answers
from export.proof.checks.decoding import CHECKS, check_decoding
from export.proof.prove import prove
from export.variants.registry import FP32
from serving.inference.predictor import Predictor
from serving.inference.tokenization import CutTokenization
from serving.tasks import (
    feature_extraction,
    multi_label_classification,
    question_answering,
    regression,
    spans,
    text_classification,
    token_classification,
)
from tests.toys import TOYS
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task

apply_function = text_classification.apply_function

Served = Callable[[str], ServedAnswers]


@pytest.fixture(scope="module")
def served(task_run: Callable[[str], Run], task_bundle: Callable[[str], Path]) -> Served:
    @cache
    def serve(toy: str) -> ServedAnswers:
        run = task_run(toy)
        training_task = create_training_task(load_recipe(run.recipe))
        model = load_reference(run.checkpoint, generates=False)
        reference = compute_reference_answers(model, training_task, run.read_evaluation())
        return compute_served_answers(reference, Predictor.open(task_bundle(toy)))

    return serve


def sharpen(logits: Any, name: str) -> Any:
    return apply_function(logits * 1.5, name)


def shift_tags(logits: Any, name: str) -> Any:
    return np.roll(apply_function(logits, name), 1, axis=-1)


def drop_first_letter(text: str, start: int, end: int) -> tuple[int, int]:
    return spans.trim(text, min(start + 1, end), end)


def forget_the_mean(task: Any, encoded: Any, logits: Any, parameters: Any = None) -> Any:
    return [{"label": task.labels[0], "score": float(logits[0][0]) * task.settings.std}]


def divide_by_the_sum(task: Any, encoded: Any, logits: Any, parameters: Any = None) -> Any:
    return (logits[0] / np.abs(logits[0]).sum()).tolist()


def read_the_last_window(tokens: Any, stride: int) -> Any:
    return [token for token in MERGE(tokens, stride) if token.window == len(tokens) - 1]


MERGE = spans.merge_windows

FAULTS: list[tuple[str, Any, str, Any]] = [
    ("text-classification", text_classification, "apply_function", sharpen),
    ("text pairs", text_classification, "apply_function", sharpen),
    ("multi-label-classification", multi_label_classification, "apply_function", sharpen),
    ("multi-label-classification", multi_label_classification.MultiLabelClassification, "_threshold", lambda *_: 0.9),
    ("regression", regression.Regression, "decode", forget_the_mean),
    ("token-classification", token_classification, "apply_function", shift_tags),
    ("token-classification", token_classification, "merge_windows", read_the_last_window),
    ("token-classification", token_classification, "best_sequence", lambda scores, labels: [0] * len(scores)),
    ("question-answering", question_answering, "trim_with_marks", drop_first_letter),
    ("question-answering", question_answering, "_spans_of", lambda window, logits, longest: []),
    ("answers or none", question_answering, "_no_answer", lambda logits: question_answering._Span(1e9, 0, 0)),
    ("feature-extraction", feature_extraction.FeatureExtraction, "decode", divide_by_the_sum),
]


@pytest.mark.slow
@pytest.mark.parametrize("toy", TOYS)
def test_answers_follow_from_their_logits(served: Served, toy: str) -> None:
    """Of every task, hard inputs included."""
    found = check_decoding(served(toy))
    assert (found.different, found.worst) == (0, "")
    assert found.compared == len(served(toy).encoded)


@pytest.mark.slow
@pytest.mark.parametrize(("toy", "where", "name", "fault"), FAULTS)
def test_a_fault_in_the_shared_code_is_found(
    served: Served, monkeypatch: pytest.MonkeyPatch, toy: str, where: Any, name: str, fault: Any
) -> None:
    """Both sides have it, so that their answers are equal all the same."""
    answers = served(toy)
    monkeypatch.setattr(where, name, fault)
    found = check_decoding(answers)
    assert found.different > 0
    assert found.worst


def test_every_task_that_decodes_has_a_check() -> None:
    """But for generating models, whose tokens the reference's tokenizer decodes."""
    assert set(CHECKS) == {task for task, _ in TOYS.values()}


def test_the_proof_fails(reference: ReferenceAnswers, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By this gate alone: the two sides agree in their mistake."""
    monkeypatch.setattr(text_classification, "apply_function", sharpen)
    parity = prove(reference, Predictor.open(tiny_bundle), FP32)
    assert [gate.name for gate in parity.gates if gate.failed] == [
        "answers that do not follow from their logits, decoded again"
    ]


@pytest.fixture(autouse=True)
def fresh(reference: ReferenceAnswers) -> Iterator[None]:
    """Answers are decoded anew, and again afterwards."""
    reference.__dict__.pop("answers", None)
    yield
    reference.__dict__.pop("answers", None)


def test_a_cut_that_is_not_told_is_found(
    reference: ReferenceAnswers, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cuts in silence fails the proof."""
    finish = CutTokenization._finish
    monkeypatch.setattr(CutTokenization, "_finish", lambda *given: replace(finish(*given), cut=0))
    parity = prove(reference, Predictor.open(tiny_bundle), FP32)
    assert [gate.name for gate in parity.gates if gate.failed] == ["inputs that only one side says are cut"]
