"""An imported model's run: the checkpoint, held to transformers' own answers, its metrics, its records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks.base import Task
from stores.folders import replace_folder, staging_folder
from trainer.data.rows import Rows
from trainer.fit.evaluate import evaluate
from trainer.imports.display import show_import
from trainer.imports.labels import describe_order
from trainer.imports.source import Source
from trainer.imports.transformers_model import Loaded, original_logits
from trainer.model.case_markers import with_lower_case
from trainer.model.checkpoint import Checkpoint, load_checkpoint, load_tokenizer, save_checkpoint
from trainer.model.heads import GENERATING, backbone_of
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode, padder
from trainer.model.model_folder import read_json
from trainer.model.quiet import quiet_transformers
from trainer.model.refusal import refusing
from trainer.model.tokenizer_warnings import tokenizer_warnings
from trainer.recipe.recipe import Recipe
from trainer.run import environment
from trainer.run.folder_lock import LOCK_FILE, folder_lock
from trainer.run.lock import Environment, Lock
from trainer.run.report import write_report
from trainer.run.run import FINISHED, Run, check_folder, write_atomically
from trainer.setup.data_warnings import unusable_rows_warnings
from trainer.setup.sources import InputCheck
from trainer.setup.splits import Splits, fingerprint, load_splits
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask

BATCH_SIZE = 32
NONE_HELD = "no others, so that int8 has no texts to calibrate with: see --calibration-rows"
HELD_TO = 256
"""Rows on which the checkpoint is compared with transformers' own model, evenly spread."""
TOLERANCE = 1e-4
"""Of a logit, as a share of the largest one where that is above 1."""


@dataclass(frozen=True)
class ImportedModel:
    """Attributes:
    recipe: resolved.
    assumed: what no file says.
    """

    source: Source
    loaded: Loaded
    recipe: Recipe
    assumed: list[str]


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
    tokenizer = _tokenizer(model)
    training_task.prepare(base, tokenizer)

    def check_of(rows: Rows) -> InputCheck:
        return training_task.input_check(_task(model, training_task, tokenizer, rows), tokenizer.backend_tokenizer)

    splits = load_splits(training_task, check_of)
    task, assumed = _task(model, training_task, tokenizer, splits.test), list(model.assumed)
    checkpoint = Checkpoint(model.loaded.model, tokenizer, task, model.loaded.model_spec, tokenizer.model_max_length)
    check(checkpoint, base.id)
    model.recipe.save(run.recipe, output)
    _name_labels(model.loaded, task.labels)
    save_checkpoint(model.loaded.model, model.loaded.model_spec, task, tokenizer, run.checkpoint)
    saved = load_checkpoint(run.checkpoint)
    _require_same(model, saved, tokenizer, training_task, splits.test)
    rows = ({"inputs": inputs, "target": target} for inputs, target in splits.test.pairs())
    write_atomically(run.evaluation, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    metrics, errors = _measure(saved, training_task, splits.test)
    order = describe_order(metrics["confusion_matrix"], task.labels) if "confusion_matrix" in metrics else ""
    mapping = model.recipe.to_mapping(output)
    return {
        "status": FINISHED,
        "task": model.recipe.task,
        "labels": task.labels,
        "model": {**base.to_record(), "id": mapping["model"]},
        "recipe": mapping,
        "data": fingerprint(model.recipe.data, splits),
        "imported": _describe(model, checkpoint, splits, assumed),
        "settings": task.settings.model_dump(mode="json"),
        "metrics": {"test": metrics},
        "errors": errors,
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


def _tokenizer(model: ImportedModel) -> PreTrainedTokenizerFast:
    folder, length = model.source.tokenizer_folder, model.recipe.data.max_length
    asked = model.loaded.original or backbone_of(model.loaded.model)
    tokenizer = load_tokenizer(folder, length, _pipeline_inputs(folder, asked))
    lower = read_json(folder / "sentence_bert_config.json").get("do_lower_case") is True
    return (
        with_lower_case(tokenizer) if lower and model.source.kind in ("sentence-transformers", "SetFit") else tokenizer
    )


def _pipeline_inputs(folder: Path, model: Any) -> list[str]:
    """What others give the model: token types where its tokenizer makes them, and nowhere else."""
    with refusing(str(folder), "its tokenizer cannot be read"), quiet_transformers():
        names = AutoTokenizer.from_pretrained(folder, local_files_only=True).model_input_names
    types = "token_type_ids" in names and "token_type_ids" in signature(model.forward).parameters
    return ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]


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


def _name_labels(loaded: Loaded, labels: list[str]) -> None:
    if labels:
        loaded.model.config.id2label = dict(enumerate(labels))
        loaded.model.config.label2id = {name: at for at, name in enumerate(labels)}


def _measure(checkpoint: Checkpoint, training_task: TrainingTask, rows: Rows) -> tuple[dict[str, Any], dict[str, Any]]:
    if not rows.labelled:
        return {"rows": len(rows)}, {}
    evaluation = evaluate(checkpoint, training_task, rows, BATCH_SIZE)
    metrics = {name: value for name, value in evaluation.metrics().items() if name != "calibration"}
    return metrics, evaluation.errors()


def _require_same(
    model: ImportedModel, saved: Checkpoint, tokenizer: PreTrainedTokenizerFast, training_task: TrainingTask, rows: Rows
) -> None:
    """Raise InputError unless the saved checkpoint tokenises and answers as transformers does, text by text."""
    places = np.linspace(0, len(rows) - 1, min(HELD_TO, len(rows))).round().astype(int).tolist()
    items = [item for at in places for item in training_task.items(saved.task, rows.inputs[at])]
    expected, found = (encode(each, saved.task, items) for each in (tokenizer, saved.tokenizer))
    if [[w.ids for w in each.windows] for each in expected] != [[w.ids for w in each.windows] for each in found]:
        raise InputError(
            f"{model.source.base.id}: its tokenizer, saved and loaded again, gives other tokens; save it by"
            " transformers 5's save_pretrained, and import that",
            field="model",
        )
    original = model.loaded.original
    if original is None or model.loaded.model_spec.head in GENERATING:
        return
    pad = padder(tokenizer)
    for each, logits in zip(found, rows_logits(saved.model, saved.tokenizer, found, BATCH_SIZE), strict=True):
        for window, ours in zip(each.windows, logits, strict=True):
            theirs = original_logits(original, pad([window]))[0].numpy()
            if not _close(ours, theirs):
                raise InputError(
                    f"{model.source.base.id}: {type(original).__name__} answers otherwise than its head as Tuneship"
                    f" computes it, such as for {str(each.item)[:60]!r}: its answer depends on a padding or end token"
                    " in the text; it cannot be imported",
                    field="model",
                )


def _close(ours: Any, theirs: Any) -> bool:
    if ours.shape != theirs.shape:
        return False
    return bool(np.abs(ours - theirs).max() <= TOLERANCE * max(1.0, float(np.abs(theirs).max())))


def _describe(model: ImportedModel, checkpoint: Checkpoint, splits: Splits, assumed: list[str]) -> dict[str, Any]:
    source, spec, recipe = model.source, checkpoint.model_spec, model.recipe
    head = [*(f"dense {each.out_features} ({each.activation_function})" for each in spec.dense)]
    head += ["length 1"] if spec.normalized else []
    head += [f"classifier of {spec.logits}"] if spec.head == "sequence" else []
    held = f"{len(splits.train)} rows to calibrate int8, {len(splits.validation)} to choose a variant, no others"
    dtype = getattr(source.config, "dtype", None)
    more = (
        [f"weights are {dtype}, and answers are computed in fp32"] if dtype in (torch.float16, torch.bfloat16) else []
    )
    return {
        "kind": source.kind,
        "class": type(model.loaded.original).__name__ if model.loaded.original else source.kind,
        "head": "transformers' own" if not spec.own_head else " → ".join([spec.pooling, *head]),
        "pooling": spec.pooling if spec.own_head and spec.head in ("sequence", "vector") else "as its class has it",
        "length": checkpoint.max_length,
        "tokenizer": type(checkpoint.tokenizer).__name__,
        "labelled": splits.test.labelled,
        "held_back": held if recipe.data.test != recipe.data.train else NONE_HELD,
        **source.about,
        "assumed": [*assumed, *more],
    }


def _check_target(run: Run, overwrite: bool) -> None:
    if status := check_folder(run):
        if not overwrite:
            raise InputError(f"{run.root}: holds a run ({status}) already; give another --output, or --overwrite")
        with folder_lock(run.root):  # no training runs in it
            pass
