"""What differential privacy costs on sst2's reviews: accuracy by ε, and what an attack finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from bench.figures import Figure
from bench.subject import WORK
from deploy.measurement.process import ROOT

EPSILONS = (1.0, 3.0, 8.0, None)
"""None: without noise and without clipping."""

_TRAINING: dict[str, Any] = {
    "per_device_train_batch_size": 64, "gradient_accumulation_steps": 8,
    "warmup_ratio": 0.0, "weight_soup_runs": None, "weight_interpolation": False, "label_smoothing_factor": 0.0,
    "bf16": False, "freeze_embeddings": False,
}  # fmt: skip
TRAINED: dict[str, dict[str, Any]] = {
    "classifier": {**_TRAINING, "trainable": "classifier", "learning_rate": 8.0e-4, "num_train_epochs": 6},
    "lora": {
        **_TRAINING,
        "trainable": "lora",
        "learning_rate": 2.0e-3,
        "head_learning_rate": 2.0e-2,
        "num_train_epochs": 10,
    },
}
"""By which weights learn: the fewer, the less noise is added to them."""


def measure_privacy(quick: bool, console: Console) -> list[Figure]:
    """``quick``: the classifier alone."""
    names = ["classifier"] if quick else list(TRAINED)
    return [figure for name in names for epsilon in EPSILONS for figure in _measure(name, epsilon, console)]


def _measure(name: str, epsilon: float | None, console: Console) -> Iterator[Figure]:
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    options = [f"training.{key}={'null' if value is None else value}" for key, value in TRAINED[name].items()]
    noise = "{}" if epsilon is None else f"{{target_epsilon: {epsilon}}}"
    recipe = load_recipe(ROOT / "recipes" / "sst2.yaml", [*options, f"privacy={noise}"])
    title = f"sst2, {name}, ε = {'∞' if epsilon is None else f'{epsilon:g}'}"
    console.print(title, highlight=False)
    record = train(recipe, WORK / "privacy" / f"{name} {epsilon}", console=console).read_record()
    test, attack = record["metrics"]["test"], record["membership"]["attacks"]["loss"]
    yield Figure(f"{title}, test accuracy", 100 * test["accuracy"], "%", note=_interval(test, "accuracy", "{:.2%}"))
    yield Figure(f"{title}, AUC of membership inference", attack["auc"], "", note=_interval(attack, "auc", "{:.3f}"))


def _interval(figures: dict[str, Any], name: str, form: str) -> str:
    return f"95 %: {' – '.join(form.format(end) for end in figures[f'{name}_interval_95'])}"
