"""What a student loses to its teacher, and how much faster it answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.distil_figure import Point, draw_figure
from bench.figures import Figure, median_of
from bench.subject import WORK
from deploy.measurement.process import ROOT
from serving.inference.predictor import Predictor
from trainer.run.run import Run

RECIPES = ("banking77", "sst2")
FIGURE = "students.svg"


@dataclass(frozen=True)
class Student:
    """``options`` are its recipe's beside the teacher's."""

    variant: str
    options: Mapping[str, Any]

    def overrides(self) -> list[str]:
        return [f"{option}={json.dumps(value)}" for option, value in self.options.items()]


STUDENTS = {
    "3 layers": Student("int8", {"distil.layers": 3, "training.learning_rate": 2e-4, "training.num_train_epochs": 10}),
    "static": Student(
        "fp32", {"distil.student": "static", "training.learning_rate": 2e-3, "training.freeze_embeddings": False}
    ),
}

ROUNDS, TEXTS = 9, 256


def measure_distil(run: Path | None, console: Console) -> list[Figure]:
    """Also draws FIGURE in build/; raises InputError, or ProofFailed."""
    teachers = {run.resolve().name: Run.open(run)} if run else {each: _train(each, console) for each in RECIPES}
    figures, points = [], {}
    for name, teacher in teachers.items():
        measured = dict(_measure(name, teacher, console))
        figures += [figure for pair in measured.values() for figure in pair]
        points[name] = [Point(student, *_values(pair)) for student, pair in measured.items()]
    draw_figure(points, WORK / "distil" / FIGURE)
    return figures


def _values(figures: Sequence[Figure]) -> tuple[float, float]:
    speed, lost = (figure.value for figure in figures)
    assert speed is not None
    assert lost is not None
    return speed, lost


def _train(recipe: str, console: Console) -> Run:
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    return train(load_recipe(ROOT / "recipes" / f"{recipe}.yaml"), WORK / "tasks" / recipe / "run", console=console)


def _measure(name: str, teacher: Run, console: Console) -> Iterator[tuple[str, tuple[Figure, Figure]]]:
    """Each student's speed, and what it loses."""
    folder = WORK / "distil" / name
    texts = teacher.read_evaluation().inputs[:TEXTS]
    score, bundle = _export(teacher, folder / "teacher", "int8")
    for title, student in STUDENTS.items():
        run = _distil(teacher, folder / f"{title} run", student, console)
        theirs, served = _export(run, folder / title, student.variant)
        ratios = compare_speed(Predictor.open(served, threads=1), Predictor.open(bundle, threads=1), texts)
        about = f"{name}, {title}, {student.variant}"
        yield (
            title,
            (
                median_of(f"{about}, throughput ÷ the teacher's int8, one core", ratios, "×"),
                Figure(
                    f"{about}, points lost to the teacher's int8", 100 * (score - theirs), "", note=f"of {score:.2%}"
                ),
            ),
        )


def compare_speed(candidate: Predictor, baseline: Predictor, texts: Sequence[str]) -> list[float]:
    """Texts a second of CPU time, from text to answer, relative to the baseline's; rounds take turns."""
    for predictor in (candidate, baseline):
        predictor.predict(list(texts))  # not counted: first calls fill caches
    return [_seconds(baseline, texts) / _seconds(candidate, texts) for _ in range(ROUNDS)]


def _seconds(predictor: Predictor, texts: Sequence[str]) -> float:
    start = time.process_time()
    predictor.predict(list(texts))
    return time.process_time() - start


def _distil(teacher: Run, output: Path, student: Student, console: Console) -> Run:
    """By the teacher's recipe, whatever the drop: that is what is measured."""
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    own = [f"model={teacher.checkpoint.resolve()}", f"distil.teacher={teacher.root.resolve()}"]
    plain = ["training.weight_soup_runs=null", "training.weight_interpolation=false"]
    plain += ["export.max_teacher_drop=2", "export.max_metric_drop=0.02"]
    return train(load_recipe(teacher.recipe, [*own, *plain, *student.overrides()]), output, console=console)


def _export(run: Run, output: Path, variant: str) -> tuple[float, Path]:
    """The served score and the bundle."""
    from export.exporter import export_run

    result = export_run(run, output, variant)
    assert result.parity.score is not None
    return result.parity.score, result.bundle
