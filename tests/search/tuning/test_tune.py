"""A search as a whole: honest about its best, within its minutes, and not lost when it is killed."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from rich.console import Console

from search.tuning.budget import Budget
from search.tuning.study import DATABASE, StudyLost
from search.tuning.tune import BEST, NothingFound, tune
from search.tuning.watch import Deadline
from serving.errors import InputError
from tests import tiny
from tests.paths import ROOT
from tests.sharing import made_once
from trainer.fit.evaluate import evaluate
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup

SEARCH = {
    "held_out": 0.2,
    "space": {
        "training.learning_rate": {"low": 1.0e-4, "high": 1.0e-2, "log": True},
        "training.num_train_epochs": [2, 3],
        "model_head.loss": ["cross-entropy", "binary-cross-entropy"],
    },
}
"""The second loss is for two labels, and the toy has three: such a trial is refused."""


def write_recipe(folder: Path, backbone: Path, **sections: Any) -> Path:
    """The toy recipe with a small search."""
    sections = {"search": SEARCH, "training": {"num_train_epochs": 3}, **sections}
    return tiny.write_recipe(folder, backbone, **sections)


def search(recipe: Path, folder: Path, **options: Any) -> str:
    """What a search prints."""
    console = Console(file=io.StringIO(), width=80)
    budget = Budget(options.pop("minutes", 5), options.pop("trials", 1), options.pop("learning_curve", False))
    tune(load_recipe(recipe), folder, budget, console=console, **options)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(scope="module")
def study(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search of four trials, with ``scored.json``: the texts of every evaluation."""

    def make(folder: Path) -> None:
        scored: list[list[str]] = []

        def watched(checkpoint: Any, task: Any, rows: Any, batch_size: int) -> Any:
            scored.append(rows.inputs)
            return evaluate(checkpoint, task, rows, batch_size)

        with mock.patch("trainer.fit.score.evaluate", watched):
            output = search(write_recipe(folder, tiny_backbone), folder / "study", trials=4, learning_curve=True)
        (folder / "study" / "output.txt").write_text(output, encoding="utf-8")
        (folder / "study" / "scored.json").write_text(json.dumps(scored), encoding="utf-8")

    return made_once(tmp_path_factory, "study", make) / "study"


@pytest.mark.slow
def test_the_score_that_is_told_is_of_rows_that_no_trial_saw(study: Path) -> None:
    """No trial trained or chose on the held-out rows, nothing was scored on test rows, and no other score is told."""
    recipe = load_recipe(study.parent / "recipe.yaml")
    splits = prepare_setup(recipe, study).splits
    scored: list[list[str]] = json.loads((study / "scored.json").read_text())
    validation = [texts for texts in scored if texts == splits.validation.inputs]
    held_out = next(texts for texts in scored if texts not in validation)
    found = json.loads((study / "study.json").read_text())
    assert len(validation) == len([trial for trial in found["trials"] if trial["state"] == "ended"])
    assert [texts for texts in scored if texts not in validation] == [held_out] * 3  # the winner, and two parts
    assert set(held_out) < set(splits.train.inputs)
    sizes = [
        json.loads(file.read_text())["data"]["splits"]["train"]["rows"] for file in study.glob("trials/*/run.json")
    ]
    assert set(sizes) == {len(splits.train) - len(held_out)}
    assert found["held_out"]["rows"] == len(held_out)
    assert [point["train_rows"] for point in found["learning_curve"]["points"]][-1] == sizes[0]


@pytest.mark.slow
def test_a_search_leaves_a_recipe_a_report_and_one_checkpoint(study: Path) -> None:
    """The recipe is the winner's, complete and without the search; 80 columns suffice for what is printed."""
    found = json.loads((study / "study.json").read_text())
    best = load_recipe(study / BEST)
    values = found["best"]["values"]
    assert best.search is None
    assert (best.training.learning_rate, best.training.num_train_epochs) == (
        values["training.learning_rate"],
        values["training.num_train_epochs"],
    )
    assert prepare_setup(best, study).splits.train.inputs  # its paths are those of its place
    assert len(list(study.glob("trials/*/checkpoint"))) == 1
    assert found["best"]["value"] == max(trial["value"] for trial in found["trials"])
    report, output = (study / "report.md").read_text(), (study / "output.txt").read_text()
    for text in (report, output):
        assert "held-out rows that no trial saw, scored once: accuracy" in " ".join(text.split())
    assert found["advice"] in report
    assert max(map(len, output.splitlines())) <= 80
    assert "trial 0  accuracy" in output
    assert "the recipe as it is" in output


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on(tiny_backbone: Path, tmp_path: Path) -> None:
    """The first trial's score stays; the second is taken up at the state that it had saved."""
    recipe, folder = write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 40}), tmp_path / "study"
    settings = recipe.read_text().replace("- 2\n", "- 40\n").replace("- 3\n", "- 60\n")
    recipe.write_text(settings.replace("    - binary-cross-entropy\n", ""))
    command = [sys.executable, "-m", "tuneship", "tune", str(recipe), "--output", str(folder), "--pruner", "none"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: list(folder.glob("trials/0001/state/checkpoint-*/trainer_state.json")), process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    output = search(recipe, folder, trials=1, pruner="none")
    assert "going on after 1 trials; trial 1 was interrupted and is taken up again" in " ".join(output.split())
    assert "resuming from step" in (folder / "trials" / "0001" / "log.txt").read_text()
    trials = json.loads((folder / "study.json").read_text())["trials"]
    assert sorted(trial["number"] for trial in trials) == [0, 2]


@pytest.mark.slow
def test_a_trial_that_cannot_end_in_time_is_put_off(tiny_backbone: Path, tmp_path: Path) -> None:
    """The call says how long it needs; the next one, with more minutes, goes on with it and with nothing else."""
    recipe, folder = write_recipe(tmp_path, tiny_backbone), tmp_path / "study"
    past = mock.patch("search.tuning.trial.Deadline", return_value=Deadline(0.0))
    with past, pytest.raises(NothingFound, match=r"no trial ended in 5 min; the last: needs .* s, and had .* min"):
        search(recipe, folder, learning_curve=False)
    search(recipe, folder, trials=1)
    (trial,) = json.loads((folder / "study.json").read_text())["trials"]
    assert (trial["state"], trial["values"]["training.num_train_epochs"]) == ("ended", 3)
    assert [place.parent.name for place in folder.glob("trials/*/checkpoint")] == ["0000"]


def wait_for(found: Any, process: subprocess.Popen[bytes]) -> None:
    """Raises if the process ends before, or after two minutes."""
    for _ in range(1200):
        if found():
            return
        assert process.poll() is None, "ended by itself"
        time.sleep(0.1)
    raise AssertionError("nothing to wait for")


@pytest.mark.slow
def test_one_line_tells_of_many_trials_that_cannot_run(tiny_backbone: Path, tmp_path: Path) -> None:
    """A space in which nothing is left to try ends the search, and the reason is told once."""
    losses = {"held_out": 0.2, "space": {"model_head.loss": ["cross-entropy", "binary-cross-entropy"]}}
    output = search(write_recipe(tmp_path, tiny_backbone, search=losses), tmp_path / "study", trials=3)
    assert output.count("not scored") == 1
    assert "trial 0  accuracy" in output


class Remover(io.StringIO):
    """A terminal that removes a study's database once a trial has begun."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database = database

    def write(self, text: str) -> int:
        """Remove."""
        if "search over" in text:
            self._database.unlink()
        return super().write(text)


@pytest.mark.slow
def test_a_database_that_is_lost_is_told(tiny_backbone: Path, tmp_path: Path) -> None:
    """Where it was, what the database says of it, and what to do."""
    folder = tmp_path / "study"
    console = Console(file=Remover(folder / DATABASE), width=80)
    with pytest.raises(
        StudyLost, match=r"study.db: the search's database cannot be used any more \(.*repeat the command"
    ):
        tune(load_recipe(write_recipe(tmp_path, tiny_backbone)), folder, Budget(5, 1, False), console=console)


@pytest.mark.slow
def test_too_few_minutes_are_told_and_a_study_belongs_to_its_recipe(tiny_backbone: Path, tmp_path: Path) -> None:
    """Nothing is trained after the deadline; another recipe's study and another folder are refused."""
    recipe, folder = write_recipe(tmp_path, tiny_backbone), tmp_path / "study"
    with pytest.raises(NothingFound, match=r"no trial ended in 0 min; the last: none was begun\. The study is kept"):
        search(recipe, folder, minutes=0)
    with pytest.raises(InputError, match=r"holds a search of another recipe or other data \(.*training.seed: 0 there"):
        search(write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 3, "seed": 7}), folder)
    with pytest.raises(InputError, match="holds something else than a search"):
        search(recipe, tmp_path)
    with pytest.raises(InputError, match="--pruner best is unknown; accepted are: median, hyperband, none"):
        search(recipe, folder, pruner="best")
    with pytest.raises(InputError, match="--storage nosql://x: cannot be used"):
        search(recipe, tmp_path / "other", storage="nosql://x")
