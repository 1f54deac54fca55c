"""What experiment trackers are told of a training and of its bundle, and that none of it touches the weights."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run as TrackedRun
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from serving.errors import InputError
from tests.sharing import made_once
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, WholeRun, fit, toy_recipe, weights
from trainer.replay import replay
from trainer.run.run import Run
from trainer.run.tracking.session import log_bundle

BOTH: dict[str, Any] = {"report_to": ["tensorboard", "mlflow"], "logging_steps": 4}
DIGEST = "ab" * 32


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine where no server is named."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    yield
    assert mlflow.active_run() is None


@pytest.fixture(scope="module")
def tracked(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was broken off in its second epoch and resumed, with both trackers; read it only."""

    def make(folder: Path) -> None:
        recipe = toy_recipe(folder, tiny_backbone, training=BOTH)
        with pytest.raises(Stopped):
            fit(recipe, folder / "run", StopAt(11))
        fit(recipe, folder / "run")

    return Run.open(made_once(tmp_path_factory, "tracked", make) / "run")


def events(run: Run) -> EventAccumulator:
    """What TensorBoard shows of the run."""
    found = EventAccumulator(str(run.tracking / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    return found.Reload()


def in_mlflow(run: Run) -> tuple[mlflow.MlflowClient, TrackedRun]:
    """The run in its own database."""
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{run.tracking / 'mlflow' / 'mlflow.db'}")
    return client, client.get_run(run.read_record()["tracking"]["mlflow"])


@pytest.mark.slow
def test_curves(tracked: Run) -> None:
    """Both have the record's losses, rates and validation metrics by step: a resumed training goes on in one run."""
    history = tracked.read_record()["history"]
    losses = {point["step"]: point["loss"] for point in history if "loss" in point}
    scores = {point["step"]: point["validation_accuracy"] for point in history if "validation_accuracy" in point}
    assert set(losses) == {4, 8, 12, 16}
    board = events(tracked)
    assert {each.step: each.value for each in board.Scalars("train/loss")} == pytest.approx(losses)
    assert {each.step: each.value for each in board.Scalars("eval/accuracy")} == pytest.approx(scores)
    client, found = in_mlflow(tracked)
    told = {each.step: each.value for each in client.get_metric_history(found.info.run_id, "loss")}
    assert told == pytest.approx(losses)
    assert len(client.search_runs([found.info.experiment_id])) == 1
    assert found.info.status == "FINISHED"


@pytest.mark.slow
def test_results(tracked: Run) -> None:
    """Both have the recipe, the final metrics of validation and test, and the figures."""
    metrics, board = tracked.read_record()["metrics"], events(tracked)
    _, found = in_mlflow(tracked)
    for name, value in (
        ("test/accuracy", metrics["test"]["accuracy"]),
        ("validation/rows", metrics["validation"]["rows"]),
    ):
        assert board.Scalars(name)[0].value == pytest.approx(value)
        assert found.data.metrics[name] == pytest.approx(value)
    assert found.data.params["training.logging_steps"] == "4"
    assert found.data.params["data.train"] == "../toy.csv"
    recipe = board.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0].decode()
    assert json.loads(recipe.strip("`\n"))["training"]["seed"] == 0


@pytest.mark.slow
def test_weights_are_the_same(tracked: Run, whole: WholeRun) -> None:
    """With and without trackers; and a repetition is not tracked."""
    assert weights(tracked) == weights(whole())
    before = len(list(tracked.tracking.rglob("*")))
    assert replay(tracked.root, console=Console(file=io.StringIO())).equal
    assert len(list(tracked.tracking.rglob("*"))) == before


@pytest.mark.slow
def test_bundles_digest(tracked: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export tells each tracker its bundle's digest; an unreachable server is a warning, without its key."""
    own = Run(shutil.copytree(tracked.root, tmp_path / "run"))
    assert log_bundle(own, DIGEST, "fp32") == []
    _, found = in_mlflow(own)
    assert found.data.tags["bundle_sha256"] == found.data.tags["bundle_sha256_fp32"] == DIGEST
    text = events(own).Tensors("bundle_sha256_fp32/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text == DIGEST
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@127.0.0.1:9/")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (warning,) = log_bundle(own, DIGEST, "fp32")
    assert "digest is not logged: mlflow: " in warning
    assert "secret" not in warning


def test_without_the_package(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is told before anything is read or written, with what to install."""
    monkeypatch.setattr("trainer.run.tracking.session.find_spec", lambda name: None if name == "wandb" else True)
    with pytest.raises(InputError, match=r"report_to: wandb: not installed; pip install wandb"):
        fit(toy(training={"report_to": ["tensorboard", "wandb"]}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_the_server(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot be reached is told before the first step, and its password is not."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@127.0.0.1:9/")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"training\.report_to: mlflow: ") as error:
        fit(toy(training={"report_to": ["mlflow"]}), tmp_path / "run")
    assert "secret" not in str(error.value)
    assert not (tmp_path / "run" / "state").exists()
    assert "secret" not in (tmp_path / "run" / "run.json").read_text() + (tmp_path / "run" / "lock.json").read_text()


@pytest.mark.slow
def test_a_tracker_that_fails_later(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No training is lost for its log: the tracker is given up with one warning, and the others go on."""

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    from trainer.train import train

    monkeypatch.setattr("trainer.run.tracking.mlflow.mlflow.log_metrics", fail)
    screen = io.StringIO()
    recipe = toy(training={**BOTH, "num_train_epochs": 1})
    run = train(recipe, tmp_path / "run", console=Console(file=screen, width=200))
    assert screen.getvalue().count("warning mlflow: no space left on device") == 1
    assert [each.step for each in events(run).Scalars("train/loss")] == [4]
    assert {"learning-curve", "confusion-matrix"} <= set(events(run).Tags()["images"])
