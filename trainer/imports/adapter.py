"""Adapters of PEFT: safetensors that come on top of a base model's weights, and are merged into them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from safetensors import safe_open

from serving.bundle.bundle import sha256_of
from serving.errors import InputError, quote
from trainer.model.config_checks import check_tokenizer_config
from trainer.model.four_bits.library import import_peft
from trainer.model.heads import Head
from trainer.model.model_folder import TOKENIZER_CONFIG, read_json
from trainer.model.refusal import refusing

ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_HEADS: dict[str, Head] = {
    "SEQ_CLS": "sequence", "TOKEN_CLS": "token", "QUESTION_ANS": "span", "CAUSAL_LM": "causal",
    "SEQ_2_SEQ_LM": "seq2seq",
}  # fmt: skip
_CLASSIFIERS = ("classifier", "score", "classifier.out_proj", "classification_head.out_proj", "logits_proj")
_PREFIX = "base_model.model."
MERGED = (
    "LORA", "ADALORA", "BOFT", "FOURIERFT", "HRA", "IA3", "LN_TUNING", "LOHA", "LOKR", "OFT", "VBLORA", "VERA",
)  # fmt: skip
"""Types of adapters that only change weights; DoRA and rsLoRA are of type LORA."""


def base_of_adapter(folder: Path, name: str) -> str:
    """The base model: a folder, or a hub id; raises InputError for what cannot be merged from plain files."""
    config = read_json(folder / ADAPTER)
    if config.get("peft_type") not in MERGED or config.get("megatron_config"):
        raise InputError(
            f"{name}: an adapter of type {quote(config.get('peft_type'))}, which cannot be merged into its base model's"
            f" weights; {', '.join(MERGED)} can. Fine-tune with one of them, or the whole model",
            field="model",
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise InputError(
            f"{name}: has no {ADAPTER_WEIGHTS}, and pickled weights are never read; save it by peft's save_pretrained",
            field="model",
        )
    check_tokenizer_config(read_json(folder / TOKENIZER_CONFIG), name)
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


def adapter_shapes(folder: Path) -> dict[str, list[int]]:
    """Of its weights, by their names in the base model; raises InputError."""
    with (
        refusing(str(folder), f"{ADAPTER_WEIGHTS} cannot be loaded"),
        safe_open(folder / ADAPTER_WEIGHTS, "pt") as file,
    ):
        names = list(file.keys())
        return {name.removeprefix(_PREFIX): file.get_slice(name).get_shape() for name in names}


def classifier_size(shapes: dict[str, list[int]]) -> int | None:
    """How many logits the adapter's own classifier gives."""
    names = [f"{name}.weight" for name in _CLASSIFIERS]
    return next((shapes[name][0] for name in names if name in shapes), None)


def merge_adapter(model: Any, folder: Path, name: str) -> Any:
    """The model with the adapter's weights in its own; raises InputError."""
    with refusing(name, "the adapter cannot be merged into its base model"):
        _resize_embeddings(model, adapter_shapes(folder))
        adapted = import_peft().PeftModel.from_pretrained(model, folder, local_files_only=True, use_safetensors=True)
        return adapted.merge_and_unload()


def _resize_embeddings(model: Any, shapes: dict[str, list[int]]) -> None:
    """To the adapter's own, which has rows for tokens that were added before it was trained."""
    table = model.get_input_embeddings()
    names = [f"{name}.weight" for name, module in model.named_modules() if module is table]
    if rows := [shapes[name][0] for name in names if name in shapes]:
        model.resize_token_embeddings(rows[0])
