"""A whole run: what it leaves behind, what it refuses, and how it is resumed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from serving.observability.progress_bars import show_progress
from tests import tiny
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, WholeRun, fit, weights
from trainer.fit.resume import newest_state
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import read_lock
from trainer.run.run import Run
from trainer.train import train


def test_folder(tiny_run: Run) -> None:
    """A finished run holds recipe, record, checkpoint, test rows and report, and no pickle."""
    found = {str(path.relative_to(tiny_run.root)) for path in tiny_run.root.rglob("*") if path.is_file()}
    assert found == {
        "recipe.yaml",
        "run.json",
        "evaluation.jsonl",
        "lock.json",
        "report.html",
        "report.md",
        "figures/calibration.png",
        "figures/learning-curve.png",
        "figures/confusion-matrix.png",
        "checkpoint/config.json",
        "checkpoint/model.safetensors",
        "checkpoint/task.json",
        "checkpoint/head.safetensors",
        "checkpoint/tokenizer.json",
        "checkpoint/tokenizer_config.json",
    }


def test_no_absolute_path(tiny_run: Run) -> None:
    """Nothing in a run tells where it was made."""
    texts = [path for path in tiny_run.root.rglob("*") if path.suffix in {".json", ".yaml", ".md", ".jsonl"}]
    assert [path.name for path in texts if str(tiny_run.root.parent) in path.read_text(encoding="utf-8")] == []


def test_record(tiny_run: Run) -> None:
    """run.json says what was trained on what, how well it does, and where and when it ran."""
    record = tiny_run.read_record()
    assert record["status"] == "finished"
    assert record["labels"] == list(tiny.LABELS)
    assert record["model"]["source"] == "folder"
    assert {name: facts["rows"] for name, facts in record["data"]["splits"].items()} == {
        "train": 43,
        "validation": 11,
        "test": 18,
    }
    assert set(record["metrics"]) == {"validation", "test"}
    assert record["metrics"]["test"]["accuracy"] > 0.6
    assert sum(map(sum, record["metrics"]["test"]["confusion_matrix"])) == 18
    assert {"python", "torch", "transformers", "datasets", "tokenizers"} <= set(record["versions"])
    assert {"data", "preparation", "training", "evaluation", "report"} == set(record["seconds"])
    assert record["hardware"]["cpu"]


def test_resolved(tiny_run: Run) -> None:
    """The saved recipe has every default worked out."""
    recipe = load_recipe(tiny_run.recipe)
    assert recipe.model_head.pooling == "mean"
    assert recipe.data.max_length == 64
    assert recipe.training.bf16 is False
    assert recipe.training.head_learning_rate == 0.02


@pytest.mark.slow
def test_train_again(whole: WholeRun, tmp_path: Path) -> None:
    """The saved recipe trains the same weights again."""
    assert weights(fit(load_recipe(whole().recipe), tmp_path / "again")) == weights(whole())


def test_best_is_kept(tiny_run: Run) -> None:
    """The checkpoint on disk answers the validation rows as the best evaluation in training did."""
    record = tiny_run.read_record()
    points = [point for point in record["history"] if "validation_accuracy" in point]
    best = max(points, key=lambda point: point["validation_accuracy"])
    assert best["step"] == record["best_step"]
    assert record["metrics"]["validation"]["accuracy"] == best["validation_accuracy"]


def test_evaluation_rows(tiny_run: Run) -> None:
    """evaluation.jsonl holds the test rows, which are no training rows."""
    rows = tiny_run.read_evaluation()
    known = dict(tiny.toy_rows())
    assert len(rows) == 18
    assert all(known[text] == label for text, label in rows.pairs())
    lines = [json.loads(line) for line in tiny_run.evaluation.read_text(encoding="utf-8").splitlines()]
    assert lines == [{"inputs": text, "target": label} for text, label in rows.pairs()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "stop"),
    [
        ({}, 9),  # in the second epoch, from the state after the first
        ({}, 16),  # in the third epoch
        ({"eval_strategy": "steps", "eval_steps": 4}, 11),  # from the middle of an epoch
        ({"gradient_accumulation_steps": 2}, 5),
    ],
)
def test_resume(toy: MakeRecipe, whole: WholeRun, tmp_path: Path, training: dict[str, Any], stop: int) -> None:
    """A run stopped half-way and started again ends with the weights of one that was never stopped."""
    recipe, expected = toy(training=training), whole(**training)
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(stop))
    assert Run(tmp_path / "stopped").status() == "running"
    resumed = fit(recipe, tmp_path / "stopped")
    assert weights(resumed) == weights(expected)
    assert resumed.read_record()["history"] == expected.read_record()["history"]


@pytest.mark.slow
def test_resume_moved(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """A stopped run is resumed where its folder was moved to, and its best checkpoint moves with it."""
    recipe = toy()
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "before", StopAt(16))
    (tmp_path / "before").rename(tmp_path / "after")
    saved = newest_state(tmp_path / "after" / "state")
    assert saved is not None
    best = json.loads((saved.folder / "trainer_state.json").read_text())["best_model_checkpoint"]
    assert Path(best) == saved.best
    assert (tmp_path / "after") in saved.best.parents
    assert (saved.best / "model.safetensors").is_file()
    assert weights(fit(recipe, tmp_path / "after")) == weights(whole())


@pytest.mark.slow
def test_resume_half_written(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """A state that was cut off while it was written is passed over for the one before it."""
    recipe = toy()
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "stopped", StopAt(16))
    newest = max((tmp_path / "stopped" / "state").iterdir(), key=lambda path: int(path.name.split("-")[1]))
    (newest / "trainer_state.json").write_text("{")
    assert weights(fit(recipe, tmp_path / "stopped")) == weights(whole())


@pytest.mark.slow
def test_resume_after_early_stop(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that had stopped early before it was interrupted is not trained any further."""
    recipe = toy(training={"num_train_epochs": 12, "early_stopping_patience": 1})
    whole = fit(recipe, tmp_path / "whole")
    assert whole.read_record()["history"][-1]["epoch"] < 12
    with monkeypatch.context() as patched:
        patched.setattr("trainer.fit.validation.save_checkpoint", _stop)
        with pytest.raises(Stopped):
            fit(recipe, tmp_path / "stopped")
    resumed = fit(recipe, tmp_path / "stopped")
    assert weights(resumed) == weights(whole)
    assert resumed.read_record()["history"] == whole.read_record()["history"]


def _stop(*_: object) -> None:
    raise Stopped


def test_finished(tiny_run: Run) -> None:
    """The same command on a finished run says so and changes nothing."""
    before = tiny_run.record.stat().st_mtime_ns
    screen = io.StringIO()
    train(load_recipe(tiny_run.root.parent / "recipe.yaml"), tiny_run.root, console=Console(file=screen))
    assert "is finished already" in screen.getvalue()
    assert tiny_run.record.stat().st_mtime_ns == before


@pytest.mark.slow
def test_other_recipe(toy: MakeRecipe, tmp_path: Path) -> None:
    """Another recipe never writes over a run by itself; the first differing key is named."""
    run = fit(toy(training={"num_train_epochs": 1}), tmp_path / "run")
    other = toy(training={"num_train_epochs": 1, "seed": 7})
    with pytest.raises(InputError, match=r"training\.seed: 0 there, 7 now.*--output, or --overwrite"):
        fit(other, tmp_path / "run")
    assert run.read_record()["recipe"]["training"]["seed"] == 0
    assert fit(other, tmp_path / "run", overwrite=True).read_record()["recipe"]["training"]["seed"] == 7


@pytest.mark.slow
def test_more_epochs(toy: MakeRecipe, tmp_path: Path) -> None:
    """A finished run is not changed; the message says how to train it on, and that lock names it."""
    run = fit(toy(training={"num_train_epochs": 1}), tmp_path / "run")
    more = toy(training={"num_train_epochs": 3})
    with pytest.raises(InputError, match=r"is finished .*1 there, 3 now.* for 2 more.*num_train_epochs=2 --output"):
        fit(more, tmp_path / "run")
    again = toy(training={"num_train_epochs": 2}).model_copy(update={"model": str(run.checkpoint)})
    assert read_lock(fit(again, tmp_path / "more")).model["extended_from"] == sha256_of(run.lock)


@pytest.mark.slow
def test_other_data(toy: MakeRecipe, tmp_path: Path) -> None:
    """Changed rows under an unchanged recipe make another run; the same rows in another file do not."""
    recipe = toy(training={"num_train_epochs": 1})
    fit(recipe, tmp_path / "run")
    (tmp_path / "toy.csv").rename(tmp_path / "moved.csv")
    moved = load_recipe(tmp_path / "recipe.yaml", ["data.train=moved.csv"])
    assert fit(moved, tmp_path / "run").status() == "finished"
    tiny.write_csv(tmp_path / "toy.csv", tiny.toy_rows()[:-1])
    with pytest.raises(InputError, match=r"data\.rows\."):
        fit(recipe, tmp_path / "run")


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_folder(toy: MakeRecipe, tmp_path: Path, overwrite: bool) -> None:
    """A folder that holds something else is never touched, not even by --overwrite."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"holds something else than a run \(thesis\.txt\)"):
        fit(toy(), home, overwrite=overwrite)
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="is a file; give --output a folder"):
        fit(toy(), home / "thesis.txt", overwrite=overwrite)


@pytest.mark.slow
def test_overwrite_keeps_strangers(toy: MakeRecipe, tmp_path: Path) -> None:
    """--overwrite removes the run's own files only."""
    recipe = toy(training={"num_train_epochs": 1})
    fit(recipe, tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    fit(recipe, tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_bad_data_leaves_nothing(toy: MakeRecipe, tmp_path: Path) -> None:
    """Data that is refused is refused before a folder is made."""
    with pytest.raises(InputError, match="no column 'body'"):
        fit(toy(data={"text": "body"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_max_length(toy: MakeRecipe, tmp_path: Path) -> None:
    """A length that the backbone cannot take is refused; a smaller one reaches the checkpoint's tokenizer."""
    with pytest.raises(InputError, match=r"data\.max_length: 65 is more than .* takes; give at most 64"):
        fit(toy(data={"max_length": 65}), tmp_path / "run")
    run = fit(toy(data={"max_length": 9}, training={"num_train_epochs": 1}), tmp_path / "run")
    config = json.loads((run.checkpoint / "tokenizer_config.json").read_text())
    tokenizer = json.loads((run.checkpoint / "tokenizer.json").read_text())
    assert config["model_max_length"] == 9
    assert (tokenizer["truncation"], tokenizer["padding"]) == (None, None)


@pytest.mark.slow
def test_screen(toy: MakeRecipe, tmp_path: Path) -> None:
    """Without a terminal there is a line an epoch and a table, paths alone are wider than 80 columns, and no noise."""
    screen = io.StringIO()
    train(toy(), tmp_path / "run", console=Console(file=screen, width=80))
    lines = screen.getvalue().splitlines()
    assert len([line for line in lines if line.startswith("epoch ")]) == 3
    assert lines[-1].startswith("test")
    assert all(len(line) <= 80 or line.startswith("base model ") for line in lines)
    assert "\x1b" not in screen.getvalue()


@pytest.mark.slow
def test_terminal(toy: MakeRecipe, tmp_path: Path) -> None:
    """On a terminal there is a bar with epoch, loss, validation metric and time left, in 80 columns."""
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    with show_progress(console):
        train(toy(), tmp_path / "run", console=console)
    bars = [line for line in screen.getvalue().replace("\r", "\n").split("\n") if " % " in line]
    assert bars
    assert any("loss 0." in line and "validation 0." in line for line in bars)
    assert max(len(line.split("\x1b[2K")[-1].strip()) for line in bars) <= 80


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("run.json", "is no finished run"),
        ("checkpoint/config.json", r"lacks checkpoint/config\.json"),
        ("evaluation.jsonl", r"lacks evaluation\.jsonl"),
    ],
)
def test_open_damaged(tiny_run: Run, tmp_path: Path, damage: str, expected: str) -> None:
    """Opening a run that lacks a file names the file."""
    import shutil

    shutil.copytree(tiny_run.root, tmp_path / "run")
    (tmp_path / "run" / damage).unlink()
    with pytest.raises(InputError, match=expected):
        Run.open(tmp_path / "run")


@pytest.mark.slow
def test_open(tiny_run: Run, toy: MakeRecipe, tmp_path: Path) -> None:
    """A finished run opens; a missing folder and an unfinished run are refused with what to do."""
    assert Run.open(tiny_run.root).root == tiny_run.root
    with pytest.raises(InputError, match="there is no such run folder; make one by tuneship train"):
        Run.open(tmp_path / "absent")
    with pytest.raises(Stopped):
        fit(toy(), tmp_path / "run", StopAt(1))
    with pytest.raises(InputError, match="is not finished; run its train command again"):
        Run.open(tmp_path / "run")


@pytest.mark.slow(first=True)
@pytest.mark.xdist_group("quickstart")
def test_quickstart(quickstart_run: Run) -> None:
    """The quickstart recipe, with the real base model, answers at least nine of ten test messages correctly."""
    assert quickstart_run.read_record()["metrics"]["test"]["accuracy"] >= 0.9
