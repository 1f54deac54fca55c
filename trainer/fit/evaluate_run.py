"""What a run's record says of the saved checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serving.files import replace_file
from trainer.data.rows import Rows
from trainer.fit.evaluate import Evaluation, evaluate
from trainer.fit.explain_mistakes import explain_mistakes
from trainer.fit.leaks import measure_without_leaks
from trainer.model.checkpoint import Checkpoint, load_checkpoint
from trainer.run.run import Run, answer_to_json
from trainer.run.size import measure_size
from trainer.setup.teachers import best_teacher
from trainer.setup.training_setup import TrainingSetup


def evaluate_run(setup: TrainingSetup, run: Run) -> dict[str, Any]:
    """The saved checkpoint's part of the run's record; also writes the test rows."""
    checkpoint = load_checkpoint(run.checkpoint)
    batch_size = setup.recipe.training.per_device_eval_batch_size
    splits = setup.splits

    def evaluate_all(sets: dict[str, Rows]) -> dict[str, Evaluation]:
        return {name: evaluate(checkpoint, setup.training_task, rows, batch_size) for name, rows in sets.items()}

    evaluations = evaluate_all({"validation": splits.validation, "test": splits.test})
    test_sets = evaluate_all(splits.tests)
    rows = ({"inputs": inputs, "target": target} for inputs, target in splits.test.pairs())
    _write_lines(run.evaluation, rows)
    return {
        **(_evaluate_teacher(setup, run) if setup.teachers else {}),
        "metrics": {name: evaluation.metrics() for name, evaluation in evaluations.items()},
        "test_sets": {name: evaluation.metrics() for name, evaluation in test_sets.items()},
        "leaks": measure_without_leaks(evaluations["test"], splits, setup.training_task),
        **describe_errors(checkpoint, evaluations["test"]),
        "size": measure_size(checkpoint.model, run.checkpoint),
    }


def _evaluate_teacher(setup: TrainingSetup, run: Run) -> dict[str, Any]:
    """Also writes its answers to the test rows, so that no export needs it."""
    teacher, rows = best_teacher(setup.teachers, setup.recipe.metric), setup.splits.test
    batch_size = setup.recipe.training.per_device_eval_batch_size
    evaluation = evaluate(teacher.load(), setup.training_task, rows, batch_size)
    _write_lines(run.teacher, evaluation.answers)
    figures = evaluation.metrics()
    kept = {"rows", *setup.training_task.score(rows, evaluation.answers)}
    metrics = {name: figures[name] for name in figures if name.removesuffix("_interval_95") in kept}
    return {"teacher": {"id": teacher.run.root.resolve().name, "metrics": metrics}}


def _write_lines(path: Path, values: Iterable[Any]) -> None:
    with replace_file(path) as file:
        lines = (json.dumps(each, ensure_ascii=False, default=answer_to_json) for each in values)
        file.writelines(f"{line}\n".encode() for line in lines)


def describe_errors(checkpoint: Checkpoint, evaluation: Evaluation) -> dict[str, Any]:
    """The mistakes, with the words that they rest on, and where there are more of them than elsewhere."""
    errors = evaluation.errors()
    return {
        "errors": errors | {"worst": explain_mistakes(checkpoint, evaluation.rows, errors["worst"])},
        "slices": evaluation.slices(),
        "slices_metric": evaluation.scoring.proof_metric,
    }
