"""An imported model's run: the checkpoint, its metrics, its records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks.base import Task
from stores.folders import replace_folder, staging_folder
from trainer.data.rows import Rows
from trainer.fit.evaluate import evaluate
from trainer.fit.evaluate_run import describe_errors
from trainer.imports.display import show_import
from trainer.imports.equality import BATCH_SIZE, require_same
from trainer.imports.facts import describe_import
from trainer.imports.imported_model import ImportedModel
from trainer.imports.labels import describe_order
from trainer.imports.tokenizer import load_imported_tokenizer
from trainer.model.checkpoint import Checkpoint, load_checkpoint, name_labels, save_checkpoint
from trainer.model.tokenizer_warnings import tokenizer_warnings
from trainer.run import environment
from trainer.run.extensions import extension_records
from trainer.run.folder_lock import LOCK_FILE, folder_lock
from trainer.run.lock import Environment, Lock
from trainer.run.report.report import write_report
from trainer.run.run import FINISHED, Run, check_folder, write_atomically
from trainer.setup.data_warnings import unusable_rows_warnings
from trainer.setup.sources import InputCheck
from trainer.setup.splits import fingerprint, load_splits
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask


def write_run(
    model: ImportedModel, output: Path, *, overwrite: bool, console: Console, check: Callable[[Checkpoint, str], None]
) -> Run:
    """Raises InputError or FolderInUse; ``output`` has the whole run, or what it had before."""
    start = time.monotonic()
    _check_target(Run(output), overwrite)
    with staging_folder(output) as folder:
        run = Run(folder)
        record = _fill(model, run, output, check)
        record["seconds"] = {"import": round(time.monotonic() - start, 3)}
        lock = Lock(
            recipe=record["recipe"],
            model={**record["model"], "files": model.source.base.files()},
            data=record["data"],
            seed=0,
            environment=Environment.here(),
        )
        write_report(run, record)
        lock.with_result(run, record).write(run)
        run.write_record(record)
        (output / LOCK_FILE).unlink(missing_ok=True)
        replace_folder(output, folder)
    show_import(console, record)
    return Run(output)


def _fill(model: ImportedModel, run: Run, output: Path, check: Callable[[Checkpoint, str], None]) -> dict[str, Any]:
    """Everything but lock and record; returns the record."""
    training_task, base = create_training_task(model.recipe), model.source.base
    tokenizer = load_imported_tokenizer(model)
    training_task.prepare(base, tokenizer)

    def check_of(rows: Rows) -> InputCheck:
        return training_task.input_check(_task(model, training_task, tokenizer, rows), tokenizer.backend_tokenizer)

    splits = load_splits(training_task, check_of)
    task = _task(model, training_task, tokenizer, splits.test)
    checkpoint = Checkpoint(model.loaded.model, tokenizer, task, model.loaded.model_spec, tokenizer.model_max_length)
    check(checkpoint, base.id)
    model.recipe.save(run.recipe, output)
    name_labels(model.loaded.model.config, task.labels)
    save_checkpoint(model.loaded.model, model.loaded.model_spec, task, tokenizer, run.checkpoint)
    saved = load_checkpoint(run.checkpoint)
    require_same(model, saved, tokenizer, training_task, splits.test)
    rows = ({"inputs": inputs, "target": target} for inputs, target in splits.test.pairs())
    write_atomically(run.evaluation, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    measured = _measure(saved, training_task, splits.test)
    metrics = measured["metrics"]["test"]
    order = describe_order(metrics["confusion_matrix"], task.labels) if "confusion_matrix" in metrics else ""
    mapping = model.recipe.to_mapping(output)
    return {
        "status": FINISHED,
        "task": model.recipe.task,
        "labels": task.labels,
        "model": {**base.to_record(), "id": mapping["model"]},
        "recipe": mapping,
        "data": fingerprint(model.recipe.data, splits),
        **({"extensions": used} if (used := extension_records(model.recipe)) else {}),
        "imported": describe_import(model, checkpoint, splits),
        "settings": task.settings.model_dump(mode="json"),
        **measured,
        "metric": model.recipe.metric,
        "warnings": [
            *([order] if order else []),
            *tokenizer_warnings(tokenizer, model.source.tokenizer_folder, model.loaded.model.config.vocab_size),
            *splits.notes,
            *unusable_rows_warnings(splits.unusable_rows),
        ],
        "best_step": None,
        "history": [],
        "versions": environment.versions(),
        "hardware": environment.hardware(),
    }


def _task(model: ImportedModel, training_task: TrainingTask, tokenizer: PreTrainedTokenizerFast, rows: Rows) -> Task:
    config, length = model.loaded.model.config, tokenizer.model_max_length
    labels = list(model.recipe.imported.labels) if model.recipe.imported else []
    settings = training_task.imported_settings(rows, labels, length)
    changes: dict[str, Any] = {"vocabulary": config.vocab_size} if len(tokenizer) > config.vocab_size else {}
    if "function_to_apply" in type(settings).model_fields:
        changes["function_to_apply"] = model.source.function_to_apply
    if "dimensions" in type(settings).model_fields:
        changes["dimensions"] = model.loaded.width
    return training_task.task(labels, settings.model_copy(update=changes))


def _measure(checkpoint: Checkpoint, training_task: TrainingTask, rows: Rows) -> dict[str, Any]:
    if not rows.labelled:
        return {"metrics": {"test": {"rows": len(rows)}}, "errors": {}, "slices": []}
    evaluation = evaluate(checkpoint, training_task, rows, BATCH_SIZE)
    metrics = {name: value for name, value in evaluation.metrics().items() if name != "calibration"}
    return {"metrics": {"test": metrics}, **describe_errors(checkpoint, evaluation)}


def _check_target(run: Run, overwrite: bool) -> None:
    if status := check_folder(run):
        if not overwrite:
            raise InputError(f"{run.root}: holds a run ({status}) already; give another --output, or --overwrite")
        with folder_lock(run.root):  # no training runs in it
            pass
