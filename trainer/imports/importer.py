"""From a checkpoint and rows to a run, which every other command takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from serving.errors import InputError
from trainer.data.rows import texts_of
from trainer.imports.imported_model import ImportedModel
from trainer.imports.labels import config_labels, meet_rows
from trainer.imports.sentence_model import load_setfit, load_vectors, read_classes
from trainer.imports.source import Source, choose_task, open_source
from trainer.imports.transformers_model import Loaded, convert, load_model
from trainer.imports.write_run import write_run
from trainer.model.checkpoint import Checkpoint, load_tokenizer
from trainer.model.inputs import cut
from trainer.model.model_folder import CONFIG, read_json
from trainer.recipe.loader import apply_overrides
from trainer.recipe.recipe import Recipe, create_recipe
from trainer.run.run import Run
from trainer.setup.sources import Sources
from trainer.setup.splits import held_out_files, train_files
from trainer.tasks import create_training_task
from trainer.tasks.base import LONGEST

NAME = "tuneship import"
_AT_ONCE = 1000
HELD_SHARE, MOST_HELD, FEWEST_ROWS = 0.2, 1256, 8
"""Of the rows, for int8: at most as many as it reads, 256 to calibrate and 1,000 to judge; of fewer rows none."""


@dataclass(frozen=True)
class _Model:
    """Loaded, with the names of its logits and what was assumed."""

    source: Source
    loaded: Loaded
    labels: list[str]
    assumed: list[str]


def import_checkpoint(
    mapping: dict[str, Any],
    output: Path,
    *,
    labels: Sequence[str] | None = None,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    console: Console | None = None,
    check: Callable[[Checkpoint, str], None] = lambda checkpoint, name: None,
) -> Run:
    """Make a finished run; raises InputError, HubUnreachable or FolderInUse, with nothing written.

    Args:
        mapping: a recipe's, whose ``data.train`` are the rows; task and ``data.test`` are found out where it has none.
        labels: names of the logits, in place of the checkpoint's own.
        check: may refuse a model that cannot be exported.
    """
    mapping = apply_overrides(mapping, overrides)
    model = _load(mapping, list(labels) if labels else None)
    recipe, sources = _read_named(_resolve(mapping, model), model)
    recipe, notes = _meet_rows(recipe, sources, model)
    if "test" not in mapping["data"]:
        recipe = _with_split(recipe, sources)
    recipe, more = _fit_length(recipe, sources, model.source)
    imported = ImportedModel(model.source, model.loaded, recipe, [*model.assumed, *notes, *more])
    return write_run(imported, output, overwrite=overwrite, console=console or Console(), check=check)


def _load(mapping: dict[str, Any], labels: list[str] | None) -> _Model:
    asked = mapping.get("task")
    draft: dict[str, Any] = {name: mapping[name] for name in ("model", "model_revision") if name in mapping}
    draft |= {"task": asked or "text-classification", "data": {"train": mapping["data"]["train"], "test": 0.5}}
    recipe = create_recipe(draft, Path.cwd(), NAME)
    source = open_source(recipe.model, recipe.model_revision, asked)
    if source.kind == "sentence-transformers" or source.head == "vector":
        return _Model(source, load_vectors(source), [], source.assumed)
    if source.kind == "SetFit":
        return _Model(source, load_setfit(source), labels or read_classes(source), source.assumed)
    model = load_model(source, labels)
    if source.head not in ("sequence", "token"):
        return _Model(source, convert(model, source, 2 if source.head == "span" else 1), [], source.assumed)
    raw = {} if source.kind == "PEFT adapter" else read_json(source.folder / CONFIG)
    count = model.config.num_labels
    named, notes = (labels, []) if labels else config_labels(raw, count, source.base.id)
    return _Model(source, convert(model, source, count), named, [*source.assumed, *notes])


def _resolve(mapping: dict[str, Any], model: _Model) -> Recipe:
    spec, base = model.loaded.model_spec, model.source.base
    task = choose_task(model.source, spec.logits, mapping.get("task"))
    if task == "text-classification" and len(model.labels) < 2:
        raise InputError(f"{base.id}: has one label, and {task} tells two or more apart", field="model")
    pooling: Any = spec.pooling.split("+")
    pooled = {"pooling": pooling if len(pooling) > 1 else pooling[0]} if spec.head in ("sequence", "vector") else {}
    full = {
        **mapping,
        "task": task,
        "data": {"test": 0.5, "validation": 0.5, **mapping["data"]},
        "model_head": pooled,
        "imported": {"labels": model.labels},
    }
    return create_recipe(full, Path.cwd(), NAME)


def _read_named(recipe: Recipe, model: _Model) -> tuple[Recipe, Sources]:
    """With the model's labels where the rows need names: for 0/1 vectors, and for tags that are numbers."""
    try:
        return recipe, _read_rows(recipe, model.source)
    except InputError as error:
        if error.field != "data.label_names" or recipe.data.label_names or not model.labels:
            raise
        model.assumed.append("the rows' 0/1 vectors or numbers are in the order of the logits")
        recipe = _with_names(recipe, model)
        return recipe, _read_rows(recipe, model.source)


def _with_names(recipe: Recipe, model: _Model) -> Recipe:
    data = recipe.data.model_copy(update={"label_names": tuple(model.labels)})
    return recipe.model_copy(update={"data": data})


def _read_rows(recipe: Recipe, source: Source) -> Sources:
    training_task = create_training_task(recipe)
    tokenizer = load_tokenizer(source.tokenizer_folder, inputs=["input_ids"])  # an adapter's has no config.json
    training_task.read_with(tokenizer, source.base.id)
    sources = Sources(training_task)
    sources.read(list(dict.fromkeys([*train_files(recipe.data), *held_out_files(recipe.data)])))
    return sources


def _meet_rows(recipe: Recipe, sources: Sources, model: _Model) -> tuple[Recipe, list[str]]:
    """With ``data.label_names`` where the rows' labels are numbers; raises InputError for labels of another model."""
    reader = sources.reader
    labelled = [rows for rows in sources.rows.values() if rows.labelled]
    notes = [] if labelled else [f"the rows have no column {reader.label_column!r}: their labels are unknown"]
    known = reader.known_labels(model.labels)
    found = {label for rows in labelled for _, label in reader.row_labels(rows)}
    if not known or not found or not meet_rows(known, found, labelled[0].name):
        return recipe, notes
    return _with_names(recipe, model), [*notes, "the rows' labels are numbers: places among the logits"]


def _with_split(recipe: Recipe, sources: Sources) -> Recipe:
    """Some rows are held back for int8, unless there are few."""
    count = sum(len(sources.rows[name]) for name in train_files(recipe.data))
    held = min(round(HELD_SHARE * count), MOST_HELD)
    everything = {"test": recipe.data.train, "validation": recipe.data.train}
    split = {"test": round(1 - max(held, 2) / count, 4)} if count >= FEWEST_ROWS else everything
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=split)})


def _fit_length(recipe: Recipe, sources: Sources, source: Source) -> tuple[Recipe, list[str]]:
    """All tokens of the longest row, where the model takes them; what sentence-transformers cuts is cut."""
    base, training_task = source.base, create_training_task(recipe)
    length, notes = recipe.data.max_length, list[str]()
    if length is None and base.sentence_length:
        length = min(base.sentence_length, base.max_length or LONGEST, LONGEST)
    if length is None:
        length = training_task.imported_length(base, min(_longest(sources, source), LONGEST))
        if base.max_length is None or base.max_length > length:
            limit = (
                f"of the {base.max_length:,} that the model takes" if base.max_length else "as the model has no limit"
            )
            notes.append(f"length: {length} tokens, {limit}; --max-length sets it")
    if base.max_length and length > base.max_length:
        raise InputError(f"--max-length {length}: {base.id} takes at most {base.max_length}", field="data.max_length")
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"max_length": length})}), notes


def _longest(sources: Sources, source: Source) -> int:
    """Tokens of the longest row, special ones included."""
    tokenizer = load_tokenizer(source.tokenizer_folder, inputs=["input_ids"])
    inputs = [texts_of(each) for rows in sources.rows.values() for each in rows.inputs]
    lengths = [
        len(ids)
        for part in cut(inputs, _AT_ONCE)
        for ids in tokenizer(*map(list, zip(*part, strict=True)), verbose=False)["input_ids"]
    ]
    return max(lengths, default=0)
