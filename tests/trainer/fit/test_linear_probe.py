"""A head that is fitted to the base model's vectors before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, fit, weights

PROBE = {"probe_examples_per_label": 8, "learning_rate": 1e-9, "head_learning_rate": 1e-9, "num_train_epochs": 2}


@pytest.mark.slow
def test_knows_the_labels(toy: MakeRecipe, tmp_path: Path) -> None:
    """Without learning more, the fitted head knows most rows; a drawn one does not. A resumed run ends alike."""
    probed = fit(toy(training=PROBE), tmp_path / "probed")
    drawn = fit(toy(training={**PROBE, "probe_examples_per_label": None}), tmp_path / "drawn")
    accuracy = [run.read_record()["metrics"]["validation"]["accuracy"] for run in (probed, drawn)]
    assert accuracy[0] > accuracy[1] + 0.2
    with pytest.raises(Stopped):
        fit(toy(training=PROBE), tmp_path / "stopped", StopAt(9))
    assert weights(fit(toy(training=PROBE), tmp_path / "stopped")) == weights(probed)
    assert load_file(probed.checkpoint / "head.safetensors").keys()


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({"model_head": {"pooling": "cls"}}, "transformers' own head has more; give model_head.pooling: mean"),
        ({"model_head": {"loss": "binary-cross-entropy"}}, "probe_examples_per_label.*binary-cross-entropy"),
        ({"few_shot": {"examples_per_label": 3}}, "probe_examples_per_label.*few_shot"),
    ],
    ids=["cls", "one-logit", "few-shot"],
)
def test_no_head_to_fit(toy: MakeRecipe, tmp_path: Path, sections: dict[str, Any], problem: str) -> None:
    """Where there is none, the recipe is refused before anything is written."""
    with pytest.raises(InputError, match=problem):
        fit(toy(training=PROBE, **sections), tmp_path / "run")
    assert not (tmp_path / "run").exists()
