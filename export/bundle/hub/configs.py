"""config.json and the other JSON files of the folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import AutoConfig

from export.bundle.hub.graph import FOLDED
from serving.bundle.manifest import TokenizerSpec
from serving.tasks.base import Task
from trainer.model.architecture import LIBRARY
from trainer.model.checkpoint import HEAD, ModelSpec
from trainer.model.heads import ACTIVATIONS, Dense

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

POOLING_MODES = {
    "cls": "cls_token",
    "max": "max_tokens",
    "mean": "mean_tokens",
    "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "weightedmean": "weightedmean_tokens",
    "last": "lasttoken",
}
"""Ours, and those of sentence-transformers."""


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
    if split:
        config["transformers.js_config"] = {"use_external_data_format": dict.fromkeys(split, 1)}
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


def sentence_configs(spec: ModelSpec, backbone: Config, longest: int) -> dict[str, Any]:
    """By path, the files of sentence-transformers; the weights of dense layers are `dense_weights`."""
    denses = {dense_folder(at): "Dense" for at in range(len(spec.dense))}
    parts = {"": "Transformer", "1_Pooling": "Pooling", **denses, f"{len(denses) + 2}_Normalize": "Normalize"}
    named = spec.pooling.split("+")
    modes = {f"pooling_mode_{mode}": name in named for name, mode in POOLING_MODES.items()}
    return {
        "modules.json": [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{part}"}
            for number, (path, part) in enumerate(parts.items())
        ],
        "1_Pooling/config.json": {"word_embedding_dimension": backbone["hidden_size"], **modes},
        **{f"{dense_folder(at)}/config.json": _dense_config(layer) for at, layer in enumerate(spec.dense)},
        "sentence_bert_config.json": {"max_seq_length": longest, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {}, "similarity_fn_name": "cosine"},
    }


def dense_weights(checkpoint: Path, spec: ModelSpec) -> dict[str, dict[str, Any]]:
    """By path, the tensors of each dense layer."""
    head = load_file(checkpoint / HEAD) if spec.dense else {}
    return {
        f"{dense_folder(at)}/model.safetensors": {
            f"linear.{name.rpartition('.')[2]}": value
            for name, value in head.items()
            if name.startswith(f"dense.{at}.")
        }
        for at in range(len(spec.dense))
    }


def dense_folder(at: int) -> str:
    """Behind the backbone, which has none, and the pooling."""
    return f"{at + 2}_Dense"


def _dense_config(layer: Dense) -> Config:
    activation = ACTIVATIONS[layer.activation_function]
    return asdict(layer) | {"activation_function": f"{activation.__module__}.{activation.__qualname__}"}


def _class_name(checkpoint: Path, spec: ModelSpec) -> str:
    """transformers' class of the architecture with such a head, where there is one."""
    config = AutoConfig.from_pretrained(checkpoint, local_files_only=True)
    classes = LIBRARY[spec.head]._model_mapping if spec.head in LIBRARY else {}
    found = classes.get(type(config), None)
    kind = found[0] if isinstance(found, tuple) else found
    return getattr(kind, "__name__", "")
