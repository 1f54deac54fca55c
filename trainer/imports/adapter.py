"""Adapters of PEFT: safetensors that come on top of a base model's weights, and are merged into them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import PreTrainedModel

from serving.bundle.bundle import sha256_of
from serving.errors import InputError, quote
from trainer.model.heads import Head
from trainer.model.model_folder import read_json
from trainer.model.refusal import refusing

ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_HEADS: dict[str, Head] = {
    "SEQ_CLS": "sequence", "TOKEN_CLS": "token", "QUESTION_ANS": "span", "CAUSAL_LM": "causal",
    "SEQ_2_SEQ_LM": "seq2seq",
}  # fmt: skip
_CLASSIFIERS = ("classifier", "score", "out_proj", "logits_proj")


def base_of_adapter(folder: Path, name: str) -> str:
    """The base model: a folder, or a hub id; raises InputError for what cannot be merged from plain files."""
    config = read_json(folder / ADAPTER)
    if config.get("peft_type") != "LORA" or config.get("megatron_config"):
        raise InputError(
            f"{name}: an adapter of type {quote(config.get('peft_type'))}; LORA is merged. Merge it yourself"
            " (peft's merge_and_unload), and import the folder of that",
            field="model",
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise InputError(
            f"{name}: has no {ADAPTER_WEIGHTS}, and pickled weights are never read; save it by peft's save_pretrained",
            field="model",
        )
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise InputError(f"{name}: {ADAPTER} names no base_model_name_or_path; write the base model there")
    near = [path for path in (Path(base), folder / base) if path.is_dir()]
    return str(near[0].absolute()) if near else base


def head_of_adapter(folder: Path) -> Head | None:
    return _HEADS.get(str(read_json(folder / ADAPTER).get("task_type")))


def adapter_hash(folder: Path, base: str) -> str:
    """Of the base model's hash and the adapter's."""
    return hashlib.sha256(f"{base}\n{sha256_of(folder / ADAPTER_WEIGHTS)}".encode()).hexdigest()


def classifier_size(folder: Path) -> int | None:
    """How many logits the adapter's own classifier gives."""
    with (
        refusing(str(folder), f"{ADAPTER_WEIGHTS} cannot be loaded"),
        safe_open(folder / ADAPTER_WEIGHTS, "pt") as file,
    ):
        sizes = {name: file.get_slice(name).get_shape()[0] for name in file.keys()}  # noqa: SIM118 - no mapping
    found = [
        size for name, size in sizes.items() if name.split(".")[-2:] in [[each, "weight"] for each in _CLASSIFIERS]
    ]
    return found[0] if found else None


def merge_adapter(model: PreTrainedModel, folder: Path, name: str) -> Any:
    """The model with the adapter's weights in its own; raises InputError."""
    from peft import PeftModel

    with refusing(name, "the adapter cannot be merged into its base model"):
        return PeftModel.from_pretrained(model, folder, local_files_only=True, use_safetensors=True).merge_and_unload()
