"""What a student loses to its teacher, and how much faster it answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.figures import Figure, median_of
from bench.process import ROOT
from bench.subject import WORK
from serving.inference.predictor import Predictor
from trainer.run.run import Run

RECIPES = ("banking77", "sst2")
STUDENTS = {
    "3 layers": ("int8", ["distil.layers=3"]),
    "static": (
        "fp32",
        ["distil.student=static", "training.learning_rate=2e-3", "training.freeze_embeddings=false"],
    ),
}
"""By name, the variant that serves and what its recipe has beside the teacher's."""

ROUNDS, TEXTS = 9, 256


def measure_distil(run: Path | None, console: Console) -> list[Figure]:
    """Raises InputError, or ProofFailed."""
    if run:
        return _measure(run.resolve().name, Run.open(run), console)
    return [figure for recipe in RECIPES for figure in _measure(recipe, _train(recipe, console), console)]


def _train(recipe: str, console: Console) -> Run:
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    return train(load_recipe(ROOT / "recipes" / f"{recipe}.yaml"), WORK / "tasks" / recipe / "run", console=console)


def _measure(name: str, teacher: Run, console: Console) -> list[Figure]:
    folder = WORK / "distil" / name
    texts = teacher.read_evaluation().inputs[:TEXTS]
    score, bundle = _export(teacher, folder / "teacher", "int8")
    figures = []
    for student, (variant, overrides) in STUDENTS.items():
        run = _distil(teacher, folder / f"{student} run", overrides, console)
        theirs, served = _export(run, folder / student, variant)
        ratios = compare_speed(Predictor.open(served, threads=1), Predictor.open(bundle, threads=1), texts)
        about = f"{name}, {student}, {variant}"
        figures += [
            median_of(f"{about}, throughput ÷ the teacher's int8, one core", ratios, "×"),
            Figure(f"{about}, points lost to the teacher's int8", 100 * (score - theirs), "", note=f"of {score:.2%}"),
        ]
    return figures


def compare_speed(candidate: Predictor, baseline: Predictor, texts: Sequence[str]) -> list[float]:
    """Texts a second of CPU time, from text to answer, relative to the baseline's; rounds take turns."""
    for predictor in (candidate, baseline):
        predictor.predict(list(texts))  # not counted: first calls fill caches
    return [_seconds(baseline, texts) / _seconds(candidate, texts) for _ in range(ROUNDS)]


def _seconds(predictor: Predictor, texts: Sequence[str]) -> float:
    start = time.process_time()
    predictor.predict(list(texts))
    return time.process_time() - start


def _distil(teacher: Run, output: Path, overrides: Sequence[str], console: Console) -> Run:
    """By the teacher's recipe, whatever the drop: that is what is measured."""
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    own = [f"model={teacher.checkpoint.resolve()}", f"distil.teacher={teacher.root.resolve()}"]
    plain = ["training.weight_soup_runs=null", "training.weight_interpolation=false", "export.max_teacher_drop=2"]
    return train(load_recipe(teacher.recipe, [*own, *plain, *overrides]), output, console=console)


def _export(run: Run, output: Path, variant: str) -> tuple[float, Path]:
    """The served score and the bundle."""
    from export.exporter import export_run

    result = export_run(run, output, variant)
    assert result.parity.score is not None
    return result.parity.score, result.bundle
