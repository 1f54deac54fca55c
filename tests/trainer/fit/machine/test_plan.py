"""What is told and chosen before a training, and kept by whatever goes on with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from commands.training import _ask
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, WholeRun, fit, weights
from trainer.fit.begin import NotConfirmed
from trainer.fit.machine.forecast import Forecast
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import read_lock
from trainer.run.run import Run
from trainer.train import train
from tuneship import app


@pytest.mark.slow
def test_chosen_by_the_machine(toy: MakeRecipe, tmp_path: Path) -> None:
    """Where the recipe is silent, the run's recipe, lock and record say what was chosen, by which figures."""
    run = fit(toy(training={"bf16": None, "num_train_epochs": 1}), tmp_path / "run")
    record, machine = run.read_record(), read_lock(run).machine
    assert load_recipe(run.recipe).training.bf16 is record["recipe"]["training"]["bf16"] is False
    assert record["machine"] == machine
    assert machine is not None
    assert machine["reason"] == "the training is too short for a comparison"
    assert machine["threads"] == record["hardware"]["threads"]
    assert machine["timings"][0]["seconds_per_step"] > 0
    forecast = record["forecast"]
    assert forecast["steps"] == 6
    assert set(forecast["seconds"]) == {"training", "evaluation"}
    assert 1e8 < forecast["memory"] < 1e11
    assert 1e8 < record["spent"]["memory"] < 1e11
    assert "| peak memory |" in run.report.read_text()


@pytest.mark.slow
def test_resumed_in_its_precision(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """A run that began in bfloat16 goes on in it, and a finished one is the run of a silent recipe."""
    with pytest.raises(Stopped):
        fit(toy(training={"bf16": True}), tmp_path / "run", StopAt(9))
    resumed = fit(toy(training={"bf16": None}), tmp_path / "run")
    assert weights(resumed) == weights(whole(bf16=True))
    assert fit(toy(training={"bf16": None}), tmp_path / "run").read_record() == resumed.read_record()


@pytest.mark.slow
def test_trial_changes_nothing(
    toy: MakeRecipe, whole: WholeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights after many timed steps are those after few."""
    monkeypatch.setattr("trainer.fit.machine.choice.ROUNDS", 40)
    assert weights(fit(toy(), tmp_path / "run")) == weights(whole())


@pytest.mark.slow
def test_not_confirmed(toy: MakeRecipe, tmp_path: Path) -> None:
    """Who says no to the forecast finds everything as it was, an earlier run too."""
    told: list[Forecast] = []

    def refuse(forecast: Forecast) -> bool:
        told.append(forecast)
        return False

    with pytest.raises(NotConfirmed, match="nothing was trained"):
        train(toy(), tmp_path / "new", confirm=refuse)
    assert not (tmp_path / "new").exists()
    run = fit(toy(training={"num_train_epochs": 1}), tmp_path / "run")
    before = weights(run)
    with pytest.raises(NotConfirmed):
        train(toy(), tmp_path / "run", overwrite=True, confirm=refuse)
    assert weights(Run.open(tmp_path / "run")) == before
    assert told[0].steps == 18


def test_only_told(toy: MakeRecipe, tiny_backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tuneship train --forecast` shows time, memory and how it would compute, and writes nothing."""
    toy()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SystemExit) as ended:
        app(["train", str(tmp_path / "recipe.yaml"), "--output", str(tmp_path / "run"), "--forecast"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "computes in fp32 with 1 thread" in told
    assert "forecast about " in told
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("minutes", "answer", "expected"), [(14, "", True), (16, "n\n", False), (16, "y\n", True)])
def test_long_training_is_asked_for(minutes: int, answer: str, expected: bool) -> None:
    """A training of fifteen minutes or more begins after a yes."""
    forecast = Forecast(steps=9, seconds={"training": minutes * 60.0}, memory=10**9, joules=7200.0)
    with CliRunner().isolation(input=answer) as (_, err, _):
        assert _ask(forecast) is expected
        asked = err.getvalue().decode().strip()
    assert asked == ("" if minutes < 15 else f"This takes about {minutes} min, 1.0 GB, 2 Wh. Go on? [Y/n]:")
