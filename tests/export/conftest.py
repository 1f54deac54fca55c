"""The proof's generated strings, fewer of them: ten thousand take seconds, and most tests are about something else."""

from __future__ import annotations

import pytest

from export.proof.reference import load_reference
from export.proof.reference_answers import ReferenceAnswers, compute_reference_answers
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task


@pytest.fixture(autouse=True)
def few_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `tests.export.proof.test_tokenizer` tests in full."""
    monkeypatch.setattr("export.proof.hard_strings.STRINGS", 300)


@pytest.fixture(scope="session")
def reference(tiny_run: Run) -> ReferenceAnswers:
    """The reference of the tiny run, asked once."""
    training_task = create_training_task(load_recipe(tiny_run.recipe))
    return compute_reference_answers(load_reference(tiny_run.checkpoint), training_task, tiny_run.read_evaluation())
