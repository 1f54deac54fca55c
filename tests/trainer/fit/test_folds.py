"""Cross-validation: every row is answered once, by a model that has not seen it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serving.errors import InputError
from tests.sharing import made_once
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, fit, rows_of, toy_recipe, weights
from trainer.data.holdout import divide_folds
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.setup.training_setup import prepare_setup

WholeRun = Callable[..., Run]


@pytest.fixture(scope="module")
def folded(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of the toy recipe with three folds, which was stopped in the second fold and went on."""

    def make(folder: Path) -> None:
        recipe = toy_recipe(folder, tiny_backbone, data={"folds": 3})
        stop = StopAt(8)  # of 18 steps a fold: the first training that is not finished is stopped
        finished = folder / "run" / "state" / "folds" / "1.json"
        with pytest.raises(Stopped):
            fit(recipe, folder / "run", StopAfter(finished, stop))
        (folder / "before.json").write_text(finished.read_text())
        fit(recipe, folder / "run")

    return Run.open(made_once(tmp_path_factory, "folded", make) / "run")


class StopAfter(StopAt):
    """Stops a training that begins when a file is there."""

    def __init__(self, file: Path, stop: StopAt) -> None:
        super().__init__(stop.step)
        self._file = file

    def on_step_end(self, args: object, state: object, control: object, **_: object) -> None:
        """Stop."""
        if self._file.is_file():
            super().on_step_end(args, state, control)


@pytest.mark.slow
def test_every_row_is_answered_by_a_model_that_has_not_seen_it(folded: Run) -> None:
    """The rows are those of training and validation; the scores are those of the answers that are written."""
    lines = [json.loads(line) for line in folded.folds.read_text(encoding="utf-8").splitlines()]
    splits = prepare_setup(load_recipe(folded.recipe), folded.root).splits
    known = [*splits.train.pairs(), *splits.validation.pairs()]
    assert [(line["inputs"], line["target"]) for line in lines] == known
    record = folded.read_record()["cross_validation"]
    right: dict[int, list[bool]] = {fold: [] for fold in (1, 2, 3)}
    for line in lines:
        right[line["fold"]].append(line["answer"][0]["label"] == line["target"])
    assert [fold["rows"] for fold in record["folds"]] == [len(answers) for answers in right.values()]
    scores = [float(np.mean(answers)) for answers in right.values()]
    assert [fold["score"] for fold in record["folds"]] == pytest.approx(scores)
    assert record["mean"] == pytest.approx(np.mean(scores))
    assert record["together"]["value"] == pytest.approx(np.mean([hit for answers in right.values() for hit in answers]))
    corrected = 4.302653 * np.sqrt((1 / 3 + 1 / 2) * np.var(scores, ddof=1))  # Student's t of two degrees of freedom
    assert record["interval_95"] == pytest.approx([np.mean(scores) - corrected, np.mean(scores) + corrected])
    assert "## Cross-validation" in folded.report.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_finished_fold_is_kept_and_the_model_is_that_of_a_run_without_folds(folded: Run, whole: WholeRun) -> None:
    """The interrupted run did not train the first fold again, and folds change nothing of the final model."""
    before = json.loads((folded.root.parent / "before.json").read_text())
    record = folded.read_record()["cross_validation"]
    assert record["folds"][0]["seconds"] == before["seconds"]
    assert weights(folded) == weights(whole())


def test_folds_keep_groups_together_and_labels_apart() -> None:
    """Equal texts are in one fold, and each fold has about as many rows of each label."""
    rows = rows_of(*((f"text {at // 2}", "ab"[at % 20 < 6]) for at in range(60)))
    labels = rows.targets
    folds = divide_folds(rows, labels, 3, seed=0)
    assert sorted(at for fold in folds for at in fold) == list(range(60))
    assert all(at ^ 1 in fold for fold in folds for at in fold)
    assert [Counter(labels[at] for at in fold)["b"] for fold in folds] == [6, 6, 6]
    assert folds == divide_folds(rows, labels, 3, seed=0)
    assert folds != divide_folds(rows, labels, 3, seed=1)


def test_too_few_rows_and_an_imported_model_have_no_folds(toy: MakeRecipe) -> None:
    """The messages name the key."""
    with pytest.raises(InputError, match=r"data.folds: 4 rows with 2 differing texts do not fill 3 folds"):
        divide_folds(rows_of(("a", "x"), ("a", "x"), ("b", "y"), ("b", "y")), ["x", "x", "y", "y"], 3, seed=0)
    with pytest.raises(InputError, match=r"data.folds: the teacher of distil has seen the rows of every fold"):
        toy(data={"folds": 3}, distil={"teacher": "run"})
    with pytest.raises(InputError, match=r"data.folds: an imported model is not trained"):
        toy(data={"folds": 3}, imported={"labels": ["x", "y"]})
