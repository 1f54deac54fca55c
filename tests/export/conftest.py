"""What the tests of an export share."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from export.proof.answers.reference import ReferenceAnswers, compute_reference_answers, load_reference
from export.proof.prove import Parity, prove
from export.variants.registry import FP32
from serving.inference.predictor import Predictor
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task


@pytest.fixture(autouse=True)
def few_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 generated strings instead of 10,000; `tests.export.proof.test_tokenizer` tests them all."""
    monkeypatch.setattr("export.proof.answers.hard_strings.STRINGS", 300)


@pytest.fixture(scope="session")
def reference(tiny_run: Run) -> ReferenceAnswers:
    """The reference's answers for the tiny run."""
    training_task = create_training_task(load_recipe(tiny_run.recipe))
    return compute_reference_answers(
        load_reference(tiny_run.checkpoint, generates=False), training_task, tiny_run.read_evaluation()
    )


@pytest.fixture(scope="session")
def faithful_parity(reference: ReferenceAnswers, tiny_bundle: Path) -> Parity:
    """The proof of the tiny bundle."""
    with mock.patch("export.proof.answers.hard_strings.STRINGS", 300):
        return prove(reference, Predictor.open(tiny_bundle), FP32)
