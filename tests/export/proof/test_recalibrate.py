"""A variant's settings are fitted to its own logits where that pays, and its decisions stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from export.proof.recalibrate import recalibrate
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from serving.tasks import task_of
from tests.bundles import forge, manifest_of, scale_logits
from tests.toys import TOYS
from trainer.data.rows import Rows
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.setup.splits import load_splits
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask

ROAD = "smoothed labels"


def validation_of(run: Run) -> tuple[TrainingTask, Rows]:
    """The task, and the rows that training has validated on."""
    training_task = create_training_task(load_recipe(run.recipe))
    return training_task, load_splits(training_task).validation


@pytest.mark.slow
def test_under_confident_logits_get_a_temperature_of_their_own(
    task_bundle: Callable[[str], Path], task_run: Callable[[str], Run], tmp_path: Path
) -> None:
    """Logits a quarter as large have a quarter of the temperature, and so the same scores."""
    bundle = task_bundle(ROAD)
    flattened = forge(bundle, tmp_path / "b", files={"model.onnx": scale_logits(bundle, 0.25)})
    predictor = Predictor(Bundle.open(flattened))
    settings, record = recalibrate(predictor, *validation_of(task_run(ROAD)))
    assert record["fitted"]
    before = manifest_of(bundle).settings["temperature"]
    assert settings.model_dump()["temperature"] == pytest.approx(before / 4, rel=0.01)
    assert record["nll_as_fitted"] < record["nll_as_checkpoint"]


def test_the_checkpoints_settings_stay_where_they_fit(
    task_bundle: Callable[[str], Path], task_run: Callable[[str], Run]
) -> None:
    """Of the checkpoint's own logits nothing better can be fitted."""
    predictor = Predictor.open(task_bundle(ROAD))
    settings, record = recalibrate(predictor, *validation_of(task_run(ROAD)))
    assert settings == predictor.task.settings
    assert not record["fitted"]


@pytest.mark.parametrize("toy", TOYS)
def test_no_decision_changes(task_bundle: Callable[[str], Path], task_run: Callable[[str], Run], toy: str) -> None:
    """Of any task: the settings suit its bundle, and every validation row is decided as before."""
    predictor = Predictor.open(task_bundle(toy))
    training_task, rows = validation_of(task_run(toy))
    settings, _ = recalibrate(predictor, training_task, rows)
    manifest = manifest_of(task_bundle(toy))
    plain, scaled = (
        task_of(manifest.model_copy(update={"settings": each.model_dump(mode="json")}))
        for each in (training_task.uncalibrated(predictor.task).settings, settings)
    )
    items = [item for inputs in rows.inputs for item in training_task.items(plain, inputs)]
    for encoded in predictor.encode(items):
        results = predictor.run(encoded.windows)
        before, after = (task.decode(encoded, results) for task in (plain, scaled))
        assert plain.decision(before) == scaled.decision(after)
