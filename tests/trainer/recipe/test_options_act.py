"""Every option changes what is trained, under every task, or is refused: nothing in between."""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from rich.console import Console

from serving.errors import InputError
from tests import tiny_generators
from tests.toys import write_toy
from trainer.fit.begin import begin
from trainer.fit.part import fit
from trainer.model.quiet import quiet_transformers
from trainer.recipe.applicability import acts
from trainer.recipe.recipe import Recipe, TaskName, load_recipe
from trainer.run.run import Run
from trainer.setup.splits import hash_rows
from trainer.setup.training_setup import prepare_setup

TOYS_BY_TASK = (
    "text-classification", "multi-label-classification", "regression", "token-classification",
    "question-answering", "feature-extraction", "text2text-generation", "text-generation", "few-shot",
    "pairs without scores", "ranked pairs",
)  # fmt: skip

CHANGES: dict[str, Any] = {
    "model_head.pooling": "max",
    "model_head.layers": 2,
    "model_head.loss": {"text-classification": "focal", "multi-label-classification": "focal", "regression": "huber",
                        "token-classification": "focal", "feature-extraction": "cosine"},
    "model_head.focal_gamma": 5.0,
    "model_head.class_weights": "balanced",
    "model_head.interval_coverage": 0.5,
    "model_head.scale": 3.0,
    "model_head.symmetric": True,
    "model_head.matryoshka_dims": [8],
    "data.validation": 0.3,
    "data.text_pair": "text",
    "data.negative": "other",
    "data.sampled_negatives": 2,
    "data.label_separator": "|",
    "data.case_markers": True,
    "data.word_separator": "",
    "data.split_seed": 5,
    "data.prefix": "say: ",
    "data.max_new_tokens": 3,
    "data.max_length": {"question-answering": 30, "text2text-generation": 6, "text-generation": 20, **dict.fromkeys(
        ("text-classification", "multi-label-classification", "regression", "token-classification",
         "feature-extraction"), 6)},
    "data.stride": 2,
    "data.long_text": "windows",
    "data.max_windows": 3,
    "data.window_aggregation": "max",
    "training.head_learning_rate": 1.0e-4,
    "training.label_smoothing_factor": 0.4,
    "training.freeze_embeddings": True,
    "training.trainable": "lora",
    "training.layerwise_lr_decay": 0.5,
    "training.gradual_unfreezing": 1,
    "data.redact": ["email"],
    "training.probe_examples_per_label": 3,
}  # fmt: skip
"""By option, or by option and task, a value that is not the default, whose effect is in weights, rows or settings."""

GENERAL: dict[str, Any] = {
    "training.learning_rate": 1.0e-4,
    "training.num_train_epochs": 3,
    "training.per_device_train_batch_size": 5,
    "training.gradient_accumulation_steps": 2,
    "training.lr_scheduler_type": "constant",
    "training.warmup_ratio": 0.9,
    "training.max_steps": 1,
    "training.lr_scheduler_kwargs": {"power": 3.0},
    "training.optim": "sgd",
    "training.momentum": 0.9,
    "training.adam_beta1": 0.5,
    "training.adam_beta2": 0.5,
    "training.adam_epsilon": 0.5,
    "training.ema_decay": 0.5,
    "training.weight_decay": 0.9,
    "training.max_grad_norm": 1.0e-3,
    "training.seed": 9,
    "training.bf16": True,
    "training.lora": {"r": 2},
    "training.weight_soup_runs": 2,
}
"""The same for what does not depend on the task, which is tried under one."""

BESIDES: dict[str, dict[str, Any]] = {
    "model_head.focal_gamma": {"model_head.loss": "focal"},
    "data.stride": {"data.long_text": "windows"},
    "data.max_windows": {"data.long_text": "windows"},
    "data.window_aggregation": {"data.long_text": "windows"},
    "training.momentum": {"training.optim": "sgd"},
    "training.lora": {"training.trainable": "lora"},
    "training.lr_scheduler_kwargs": {"training.lr_scheduler_type": "polynomial"},
    "training.weight_decay": {"training.learning_rate": 0.5},
}
"""Under which an option is tried as well."""

SEEN_ELSEWHERE = {
    "data.train", "data.test", "data.text", "data.label", "data.label_names", "data.column_names", "data.encoding",
    "data.delimiter", "data.field", "data.dataset", "data.config_name", "data.revision", "data.unusable_rows",
    "data.folds", "data.streaming", "data.group", "data.time", "data.split",
    "data.preprocess", "data.postprocess", "model_head.head",  # extensions: tests/examples/test_extensions.py
    "training.per_device_eval_batch_size", "training.gradient_checkpointing", "training.last_layers",
    "training.eval_strategy", "training.eval_steps", "training.metric_for_best_model",
    "training.load_best_model_at_end", "training.early_stopping_patience", "training.weight_averaging_epochs",
    "training.weight_interpolation",
    "training.logging_steps",
    "training.save_steps",
    "training.save_total_limit",
    "training.report_to",
    "training.torch_compile",
    "training.fsdp",
}  # fmt: skip
"""Which rows and columns are read (tests of `trainer.data`), memory, which of a run's checkpoints is best, folds."""


@pytest.fixture(scope="module")
def backbone_of(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made = {"text2text-generation": tiny_generators.make_t5, "text-generation": tiny_generators.make_gpt2}

    @functools.cache
    def make(toy: str) -> Path:
        return made[toy](tmp_path_factory.mktemp(toy) / "model") if toy in made else tiny_backbone

    return make


def result_of(recipe: Recipe, folder: Path) -> str:
    """A digest of all that a short training depends on and gives: rows, windows, weights, settings."""
    folder.mkdir()
    setup, run, console = prepare_setup(recipe, folder), Run(folder), Console(file=io.StringIO())
    run.write_record({"status": "running", **setup.to_record(folder)})
    with quiet_transformers():
        record = fit(begin(setup, folder, console, 1), run, console, [])
    digest = hashlib.sha256(repr([record["settings"], setup.recipe.metric]).encode())
    for _, rows in setup.splits.by_name():
        digest.update(hash_rows(rows).encode())
    for file in sorted(run.checkpoint.glob("*.safetensors")):
        digest.update(file.read_bytes())
    digest.update((run.checkpoint / "tokenizer.json").read_bytes())
    return digest.hexdigest()


def tried(task: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each option with its value, alone and beside what it needs."""
    for option, value in (CHANGES | (GENERAL if task == "text-classification" else {})).items():
        value = value.get(task) if isinstance(value, dict) and value.keys() <= set(get_args(TaskName)) else value
        if value is not None:
            yield option, {option: value}
        if option in BESIDES:
            yield option, {**BESIDES[option], option: value}


def write_short(folder: Path, backbone: Path, toy: str) -> Path:
    """A recipe of a few steps."""
    few_shot = {"few_shot": {"examples_per_label": 3}} if toy == "few-shot" else {}
    path = write_toy(folder, backbone, "text-classification" if few_shot else toy, data={"test": 0.6}, **few_shot)
    if not few_shot:
        training = {"num_train_epochs": 2, "per_device_train_batch_size": 16, "load_best_model_at_end": False}
        path.write_text(yaml.safe_dump(mapping_of(path, training=training)))
    return path


def mapping_of(path: Path, **sections: dict[str, Any]) -> dict[str, Any]:
    mapping: dict[str, Any] = yaml.safe_load(path.read_text())
    return mapping | {name: {**mapping.get(name, {}), **values} for name, values in sections.items()}


def with_options(path: Path, options: dict[str, Any]) -> Recipe:
    return load_recipe(path, [f"{option}={json.dumps(value)}" for option, value in options.items()])


@pytest.mark.slow
@pytest.mark.parametrize("toy", TOYS_BY_TASK)
def test_every_option_acts_or_is_refused(toy: str, backbone_of: Callable[[str], Path], tmp_path: Path) -> None:
    """Tiny models are trained for a few steps with and without it."""
    path = write_short(tmp_path, backbone_of(toy), toy)
    mapping, folders = mapping_of(path), (tmp_path / f"run-{number}" for number in itertools.count())

    @functools.cache
    def result(**options: Any) -> str:
        return result_of(with_options(path, json.loads(options["options"])), next(folders))

    faults = {}
    for option, options in tried(mapping["task"]):
        section, _, key = option.partition(".")
        if mapping.get(section, {}).get(key) == options[option]:
            continue  # the toy has it
        without = {name: value for name, value in options.items() if name != option}
        try:
            if result(options=json.dumps(options)) == result(options=json.dumps(without)):
                faults[option] = f"does nothing: {options}"
        except InputError as error:
            if not any(name in str(error) for name in options):
                faults[option] = str(error)
        else:
            if not acts(with_options(path, options), option):
                faults[option] = "acts, and the table says that it does not"
    assert not faults


def test_every_option_is_tried_or_seen_elsewhere() -> None:
    """A new option needs a value above, or a reason why its effect is not in weights, rows or settings."""
    fields = Recipe.model_fields
    sections = {name: fields[name].annotation for name in ("model_head", "data", "training")}
    options = {f"{name}.{key}" for name, kind in sections.items() for key in kind.model_fields}  # type: ignore[union-attr]
    assert options == CHANGES.keys() | GENERAL.keys() | SEEN_ELSEWHERE
