"""Cross-validation: the recipe is trained once for each fold of its training and validation rows, without that fold.

A fold that is finished is a file, so that an interrupted run goes on with the next.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from transformers import TrainerCallback

from serving.observability.progress import begin_step
from trainer.data.holdout import divide_folds
from trainer.data.rows import Rows, join_rows
from trainer.fit.model_soup import Record
from trainer.fit.part import train_part
from trainer.fit.score import score_answers, score_checkpoint
from trainer.metrics.display import format_score, metric_title
from trainer.run.run import Run, answer_to_json, write_atomically
from trainer.setup.training_setup import TrainingSetup


def cross_validate(
    setup: TrainingSetup, run: Run, console: Console, callbacks: Sequence[TrainerCallback] = ()
) -> Record:
    """Write the answers to every row by the model that has not seen it; returns the run's record of the scores."""
    count, splits, task = setup.recipe.data.folds, setup.splits, setup.training_task
    assert count
    rows = join_rows([splits.train, splits.validation])
    folds = divide_folds(rows, task.strata(rows), count, task.data.split_seed)
    found = [_fold(setup, rows, fold, number, run, console, callbacks) for number, fold in enumerate(folds, 1)]
    _write_answers(run, setup, rows, folds, found)
    answers = [answer for fold in found for answer in fold["answers"]]
    together = score_answers(task, rows.take([at for fold in folds for at in fold]), answers)
    record = {
        "metric": together.metric,
        "folds": [{"rows": len(fold), **part} for fold, part in zip(folds, map(_figures, found), strict=True)],
        **_mean([part["score"] for part in found]),
        "together": together.to_record(),
    }
    console.print(f"cross-validated  {describe_folds(record)}", highlight=False)
    return record


def describe_folds(record: Record) -> str:
    """The mean, with its interval."""
    metric, (low, high) = record["metric"], record["interval_95"]
    interval = f"{format_score(metric, low)} – {format_score(metric, high)}"
    return f"{metric_title(metric)} {format_score(metric, record['mean'])} (95 %: {interval})"


def _fold(
    setup: TrainingSetup,
    rows: Rows,
    fold: list[int],
    number: int,
    run: Run,
    console: Console,
    callbacks: Sequence[TrainerCallback],
) -> Record:
    folder = run.state / "folds"
    file, place, title = folder / f"{number}.json", folder / str(number), f"fold {number} of {setup.recipe.data.folds}"
    if not file.is_file():
        begin_step(f"training {title}…")
        found = _train_fold(_setup_of(setup, rows, fold), place, callbacks)
        write_atomically(file, json.dumps(found, ensure_ascii=False, default=answer_to_json))
    shutil.rmtree(place, ignore_errors=True)
    found = json.loads(file.read_text(encoding="utf-8"))
    metric = setup.training_task.proof_metric
    score = f"{metric_title(metric)} {format_score(metric, found['score'])}"
    console.print(f"{title}  {score}  {found['seconds']:.0f} s", highlight=False)
    return dict(found)


def _train_fold(setup: TrainingSetup, place: Path, callbacks: Sequence[TrainerCallback]) -> Record:
    start = time.monotonic()
    train_part(setup, place, callbacks)
    score, answers = score_checkpoint(setup, place / "checkpoint", setup.splits.validation)
    return {"score": score.value, "seconds": round(time.monotonic() - start, 1), "answers": answers}


def _setup_of(setup: TrainingSetup, rows: Rows, fold: Sequence[int]) -> TrainingSetup:
    """Trained on all rows but the fold's, which are its validation rows."""
    held, task = set(fold), setup.training_task
    sides = ([at for at in range(len(rows)) if at not in held], fold)
    train, validation = (task.complete(rows.take(side)) for side in sides)
    counts = {**setup.splits.counts, "train": task.label_counts(train), "validation": task.label_counts(validation)}
    return replace(setup, splits=replace(setup.splits, train=train, validation=validation, counts=counts))


def _figures(part: Record) -> Record:
    return {name: part[name] for name in ("score", "seconds")}


def _mean(scores: Sequence[float]) -> dict[str, Any]:
    """With the corrected 95 % interval: folds share training rows (Nadeau and Bengio 2003, Machine Learning 52)."""
    from scipy.stats import t as student

    count = len(scores)
    width = math.sqrt((1 / count + 1 / (count - 1)) * float(np.var(scores, ddof=1))) * student.ppf(0.975, count - 1)
    mean = float(np.mean(scores))
    return {"mean": mean, "interval_95": [mean - float(width), mean + float(width)]}


def _write_answers(
    run: Run, setup: TrainingSetup, rows: Rows, folds: Sequence[Sequence[int]], found: Sequence[Record]
) -> None:
    """A line for each row: file and number, inputs, target, and the answer of the model that has not seen it."""
    splits = setup.splits
    names = [part.name for part in (splits.train, splits.validation) for _ in range(len(part))]
    lines = {
        at: {
            "fold": number,
            "file": names[at],
            "row": rows.numbers[at],
            "inputs": rows.inputs[at],
            "target": rows.targets[at],
            "answer": answer,
        }
        for number, (fold, part) in enumerate(zip(folds, found, strict=True), 1)
        for at, answer in zip(fold, part["answers"], strict=True)
    }
    text = "".join(json.dumps(lines[at], ensure_ascii=False) + "\n" for at in sorted(lines))
    write_atomically(run.folds, text)
