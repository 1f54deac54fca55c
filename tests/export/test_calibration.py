"""Each variant's scores are calibrated for themselves, on validation rows, and proven so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.exporter import export_run
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from tests.bundles import manifest_of
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run


@pytest.fixture(scope="module")
def run(task_run: Callable[[str], Run]) -> Run:
    """Whose scores are too low as the model gives them, with enough validation rows to see it."""
    return task_run("smoothed labels")


def settings_of(run: Run) -> dict[str, Any]:
    """What training has fitted."""
    settings: dict[str, Any] = json.loads((run.checkpoint / "task.json").read_text())["settings"]
    return settings


def test_fp32_keeps_the_checkpoints_settings(run: Run, task_bundle: Callable[[str], Path]) -> None:
    """What training has fitted is served."""
    assert manifest_of(task_bundle("smoothed labels")).settings == settings_of(run)
    assert settings_of(run)["temperature"] != 1


def widened(run: Run, folder: Path, **data: str) -> Run:
    """A copy that CPUs without 8-bit dot products pass too: there int8-dynamic saturates."""
    copy, recipe = Run(shutil.copytree(run.root, folder)), load_recipe(run.recipe)
    bounds = {"max_ece_change": 0.1, "max_mean_probability_change": 0.1}
    changes = {"export": recipe.export.model_copy(update=bounds), "data": recipe.data.model_copy(update=data)}
    recipe.model_copy(update=changes).save(copy.recipe)
    return copy


@pytest.mark.slow
def test_an_approximate_variant_has_its_own(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """int8 serves with what suits its own logits, the fallback as the checkpoint, and each replays its answers."""
    own = settings_of(run) | {"temperature": 1.01 * settings_of(run)["temperature"]}
    monkeypatch.setattr(
        "export.workspace.recalibrate",  # `tests.export.proof.test_recalibrate` tests what is fitted
        lambda predictor, *_: (predictor.task.settings.model_copy(update=own), {"fitted": True}),
    )
    opened = Bundle.open(
        export_run(widened(run, tmp_path / "run"), tmp_path / "bundle", "int8-dynamic", fallback=True).bundle
    )
    assert opened.manifest.settings == own
    assert opened.alternatives[0].manifest.settings == settings_of(run)
    for variant in (opened, *opened.alternatives):
        predictor = Predictor(variant)
        assert predictor.task.settings.model_dump() == variant.manifest.settings
        assert predictor.replay_golden() == 0


def test_the_proof_measures_the_served_scores(run: Run, task_bundle: Callable[[str], Path]) -> None:
    """Before and after, with intervals, as the report does; the card shows them, and the diagram is in the bundle."""
    bundle = task_bundle("smoothed labels")
    parity = json.loads((bundle / "parity.json").read_text())
    reported, card = run.read_record()["metrics"]["test"]["calibration"], (bundle / "README.md").read_text()
    for when in ("before", "after"):
        figures = parity["reliability"][when]
        assert figures["nll"] == pytest.approx(reported[when]["nll"], abs=1e-4)
        assert f"| {figures['ece']:.4f} |" in card
    assert parity["reliability"]["after"]["nll"] != parity["reliability"]["before"]["nll"]
    assert "](calibration.svg)" in card
    assert "calibration.svg" in manifest_of(bundle).files


@pytest.mark.slow
def test_without_validation_rows_the_checkpoints_settings_serve(run: Run, tmp_path: Path) -> None:
    """The data has moved away: the variant is proven with them, and the record says why."""
    moved = widened(run, tmp_path / "run", train=str(tmp_path / "gone.csv"))
    bundle = export_run(moved, tmp_path / "bundle", "int8-dynamic").bundle
    assert manifest_of(bundle).settings == settings_of(run)
    [candidate] = json.loads((bundle / "variants.json").read_text())["candidates"]
    assert candidate["facts"]["scores"].startswith("calibrated as the checkpoint: ")
