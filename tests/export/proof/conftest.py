"""The reference of the tiny run, asked once."""

from __future__ import annotations

import pytest

from export.proof.expected import Expected, expect
from export.proof.reference import reference_of
from trainer.recipe import load_recipe
from trainer.run import Run
from trainer.tasks import learning_of


@pytest.fixture(scope="session")
def expected(tiny_run: Run) -> Expected:
    learning = learning_of(load_recipe(tiny_run.recipe))
    return expect(reference_of(tiny_run.checkpoint), learning, tiny_run.read_evaluation())
