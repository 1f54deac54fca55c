"""config.json and the other JSON files of the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from export.bundle.hub.graph import FOLDED
from serving.bundle.manifest import TokenizerSpec
from serving.tasks.base import Task
from trainer.model.architecture import LIBRARY
from trainer.model.checkpoint import ModelSpec

Config = dict[str, Any]

PROBLEM_TYPES = {
    "text-classification": "single_label_classification",
    "multi-label-classification": "multi_label_classification",
    "regression": "regression",
}

OF_ONE_CALL = frozenset({
    "is_local", "local_files_only", "max_length", "pad_to_multiple_of", "stride", "truncation_strategy",
})  # fmt: skip
"""What transformers saves of how a tokenizer was last loaded and called."""


def model_config(checkpoint: Path, spec: ModelSpec, task: Task, split: list[str]) -> Config:
    """The checkpoint's, with the task; ``split``: graphs with a data file."""
    config: Config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    if name := _class_name(checkpoint, spec):
        config["architectures"] = [name]
    if spec.head in ("sequence", "token"):
        config["id2label"] = dict(enumerate(task.labels))
        config["label2id"] = {label: number for number, label in enumerate(task.labels)}
    if task.name in PROBLEM_TYPES:
        config["problem_type"] = PROBLEM_TYPES[task.name]
    if settings := settings_outside_graph(task):
        config["tuneship"] = settings
    config["transformers.js_config"] = {"dtype": "fp32"}  # its default in a browser is q8
    if split:
        config["transformers.js_config"]["use_external_data_format"] = dict.fromkeys(split, 1)
    return config


def settings_outside_graph(task: Task) -> Config:
    """Those that are not the neutral ones and that no node applies."""
    if task.name not in FOLDED:
        return {}
    given, neutral = (
        task.settings.model_dump(mode="json"),
        type(task.settings).model_construct().model_dump(mode="json"),
    )
    return {
        name: value for name, value in given.items() if name not in FOLDED[task.name] and value != neutral.get(name)
    }


def tokenizer_config(checkpoint: Path, spec: TokenizerSpec, task: Task) -> Config:
    """Long texts are cut as the bundle cuts them."""
    config: Config = json.loads((checkpoint / "tokenizer_config.json").read_text(encoding="utf-8"))
    kept = {name: value for name, value in config.items() if name not in OF_ONE_CALL}
    sides = {"padding_side": spec.padding_side, "truncation_side": task.truncation_side}
    return kept | {"model_max_length": spec.max_length, **sides}


def special_tokens(config: Config) -> Config:
    return {name: value for name, value in config.items() if name.endswith("_token") and isinstance(value, str | dict)}


def _class_name(checkpoint: Path, spec: ModelSpec) -> str:
    """transformers' class of the architecture with such a head, where there is one."""
    config = AutoConfig.from_pretrained(checkpoint, local_files_only=True)
    classes = LIBRARY[spec.head]._model_mapping if spec.head in LIBRARY else {}
    found = classes.get(type(config), None)
    kind = found[0] if isinstance(found, tuple) else found
    return getattr(kind, "__name__", "")
