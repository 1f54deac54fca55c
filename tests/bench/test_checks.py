"""Faults are planted where the benchmark says, and what is found is counted against them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.checks import ALTERED, leak_figures, plant
from checks.check import check_subject
from checks.subject import Subject
from tests.tiny import write_recipe
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup


@pytest.mark.slow
def test_planted_faults(tiny_backbone: Path, tmp_path: Path) -> None:
    """A twentieth of the labels is wrong, and each alteration of a training row is found or counted as missed."""
    setup = prepare_setup(load_recipe(write_recipe(tmp_path, tiny_backbone)), tmp_path)
    planted = plant(setup, random.Random(0))
    before = {name: rows.targets for name, rows in setup.splits.by_name() if name != "test"}
    after = {name: rows.targets for name, rows in planted.setup.splits.by_name() if name != "test"}
    changed = sum(a != b for name in before for a, b in zip(before[name], after[name], strict=True))
    assert changed == sum(split != "test" for split, _, _ in planted.wrong) == 3
    figures = {each.name: each for each in leak_figures("toy", check_subject(Subject(planted.setup)), planted.leaks)}
    assert [figures[f"toy, leaks, {how}: found"].value for how in list(ALTERED)[:2]] == [100.0, 100.0]
    assert all(len(keys) == 2 for keys in planted.leaks.values())
