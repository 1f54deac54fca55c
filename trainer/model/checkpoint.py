"""Models made from a base model, and the checkpoint folder that keeps one: safetensors and JSON only.

``task.json`` says what the checkpoint is for: the task, its labels and settings, the head. ``model.safetensors`` is the
backbone alone where the head is ours (its linear layer is then ``head.safetensors``), else the library's whole model,
which its own ``AutoModelFor…`` class loads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from serving.bundle.manifest import Limits
from serving.errors import InputError
from serving.tasks import TASKS
from serving.tasks.base import Task, TaskSettings
from trainer.model.base_model import BaseCheckpoint, checked_config
from trainer.model.heads import (
    GeneratingModel,
    Head,
    LayeredTagger,
    LibraryModel,
    Model,
    OwnModel,
    PooledClassifier,
    PooledModel,
    backbone_of,
    head_of,
)
from trainer.model.quiet import quiet_transformers

TASK = "task.json"
HEAD = "head.safetensors"
_LIBRARY = {
    "sequence": AutoModelForSequenceClassification,
    "token": AutoModelForTokenClassification,
    "span": AutoModelForQuestionAnswering,
    "causal": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
}
_GENERATING = ("causal", "seq2seq")


@dataclass(frozen=True)
class ModelSpec:
    """What a model is built as.

    Attributes:
        head: what it gives.
        pooling: ``mean`` or ``cls``; of a sequence head, ``cls`` is the library's own.
        logits: numbers a text or a token.
        normalized: whether a pooled classifier's vectors have length 1.
        layers: how many of the last layers the classifier reads.
    """

    head: Head
    pooling: str
    logits: int
    normalized: bool = False
    layers: int = 1

    @property
    def own(self) -> bool:
        """Whether the head is ours, and not the library's."""
        if self.head == "sequence":
            return self.pooling == "mean" or self.normalized or self.layers > 1
        return self.head == "vector" or (self.head == "token" and self.layers > 1)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: the model in eval mode and fp32, and what it takes to use it."""

    model: Model
    tokenizer: PreTrainedTokenizerFast
    task: Task
    model_spec: ModelSpec
    max_length: int

    @property
    def labels(self) -> list[str]:
        """The labels in the order of the logits."""
        return self.task.labels


def build_model(base: BaseCheckpoint, model_spec: ModelSpec, labels: Sequence[str]) -> Model:
    """The base model with a fresh head; random numbers come from torch's global generator.

    Raises InputError when the base model's weights do not fill the backbone.
    """
    model = _own(base, model_spec) if model_spec.own else _library(base, model_spec)
    if len(labels) == model_spec.logits:
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {name: at for at, name in enumerate(labels)}
    for module in head_of(model):
        _reset(module, getattr(model.config, "initializer_range", 0.02))
    return model


def load_tokenizer(folder: Path, max_length: int | None = None) -> PreTrainedTokenizerFast:
    """The folder's fast tokenizer, which neither truncates nor pads by itself; else InputError."""
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, model_input_names=_inputs_of(folder)
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"model: the tokenizer cannot be read ({str(error).splitlines()[0]})") from error
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token  # generating families have none; padding is masked, whatever it is
    lack = _tokenizer_lack(tokenizer)
    if lack:
        raise InputError(f"model: the tokenizer has no {lack}; choose another base model", field="model")
    tokenizer.model_max_length = max_length or tokenizer.model_max_length
    _unconstrain(tokenizer)
    return tokenizer


def save_checkpoint(
    model: Model, model_spec: ModelSpec, task: Task, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Write ``folder`` aside and move it into place, so that it is whole or not there."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with quiet_transformers():
        _unconstrain(tokenizer)
        tokenizer.save_pretrained(partial)
        _library_part(model).save_pretrained(partial)
    if isinstance(model, (PooledClassifier, LayeredTagger)):
        weights = {name: value.contiguous() for name, value in model.classifier.state_dict().items()}
        save_file(weights, partial / HEAD)
    _write_task(model_spec, task, partial / TASK)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load_checkpoint(folder: Path, attn_implementation: str | None = None) -> Checkpoint:
    """The checkpoint in ``folder``, on the CPU; raises InputError where it is not whole.

    ``attn_implementation`` is transformers' own (``eager``, ``sdpa``); ``None`` leaves the choice to it.
    """
    checked_config(folder, str(folder))
    model_spec, task = _read_task(folder / TASK)
    options = {"dtype": torch.float32, "local_files_only": True, "attn_implementation": attn_implementation}
    with quiet_transformers():
        kind = AutoModel if model_spec.own else _LIBRARY[model_spec.head]
        model = _wrapped(kind.from_pretrained(folder, **options), model_spec)
    if isinstance(model, (PooledClassifier, LayeredTagger)):
        model.classifier.load_state_dict(load_file(folder / HEAD))
    tokenizer = load_tokenizer(folder)
    return Checkpoint(model.eval(), tokenizer, task, model_spec, tokenizer.model_max_length)


def _own(base: BaseCheckpoint, model_spec: ModelSpec) -> Model:
    with quiet_transformers():
        backbone, info = AutoModel.from_pretrained(
            base.folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    _require_weights(base, [key for key in info["missing_keys"] if "pooler" not in key])
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler.requires_grad_(False)  # kept for AutoModel's sake, used by no answer
    return _wrapped(backbone, model_spec)


def _library(base: BaseCheckpoint, model_spec: ModelSpec) -> Model:
    labels = {"num_labels": model_spec.logits} if model_spec.head in ("sequence", "token") else {}
    with quiet_transformers():
        model, info = _LIBRARY[model_spec.head].from_pretrained(
            base.folder,
            dtype=torch.float32,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **labels,
        )
    prefix = "" if model_spec.head in _GENERATING else f"{model.base_model_prefix}."
    missing = [key for key in info["missing_keys"] if key.startswith(prefix) and "pooler" not in key]
    _require_weights(base, missing)
    return _wrapped(model, model_spec)


def _wrapped(part: PreTrainedModel, model_spec: ModelSpec) -> Model:
    if not model_spec.own:
        return GeneratingModel(part) if model_spec.head in _GENERATING else LibraryModel(part)
    if model_spec.head == "vector":
        return PooledModel(part, model_spec.pooling)
    if model_spec.head == "token":
        return LayeredTagger(part, model_spec.layers, model_spec.logits)
    return PooledClassifier(
        part, model_spec.pooling, model_spec.logits, layers=model_spec.layers, normalized=model_spec.normalized
    )


def _library_part(model: Model) -> Any:
    return model.backbone if isinstance(model, OwnModel) else model.model


def _require_weights(base: BaseCheckpoint, missing: list[str]) -> None:
    if missing:
        raise InputError(
            f"model: {base.id}: {len(missing)} weights are not in its safetensors file,"
            f" such as {min(missing)}; the file belongs to another architecture",
            field="model",
        )


def _reset(module: nn.Module, spread: float) -> None:
    """Fresh weights, so that a head trained for other labels is never taken over."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=spread)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif hasattr(part, "reset_parameters"):
            part.reset_parameters()  # type: ignore[operator]


def _inputs_of(folder: Path) -> list[str]:
    """What the model is given: token types exactly where it can tell types apart, whatever its tokenizer says.

    transformers' own names are wrong both ways: ALBERT's tokenizer gives none, DeBERTa's gives some to models without.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    types = getattr(config, "type_vocab_size", 0) or 0
    return ["input_ids", *(["token_type_ids"] if types > 1 else []), "attention_mask"]


def _tokenizer_lack(tokenizer: PreTrainedTokenizerFast) -> str | None:
    """What a tokenizer has not got; one without files is made with special tokens only, and no error."""
    if not tokenizer.is_fast:
        return "fast version (tokenizer.json)"
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        return "vocabulary"
    return None if tokenizer.pad_token else "padding token"


def _unconstrain(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


def _write_task(model_spec: ModelSpec, task: Task, path: Path) -> None:
    facts = {
        "task": task.name,
        "labels": task.labels,
        "settings": task.settings.model_dump(mode="json"),
        "head": model_spec.head,
        "pooling": model_spec.pooling,
        "logits": model_spec.logits,
        "normalized": model_spec.normalized,
        "layers": model_spec.layers,
    }
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_task(path: Path) -> tuple[ModelSpec, Task]:
    if not path.is_file():
        raise InputError(f"{path.parent}: has no {TASK}; give the checkpoint of a run that tuneship train made")
    facts = json.loads(path.read_text(encoding="utf-8"))
    kind = TASKS[facts["task"]]
    settings: TaskSettings = kind.settings_type.model_validate(facts["settings"])
    model_spec = ModelSpec(facts["head"], facts["pooling"], facts["logits"], facts["normalized"], facts["layers"])
    return model_spec, kind(facts["labels"], settings, Limits())


__all__ = [
    "Checkpoint",
    "ModelSpec",
    "backbone_of",
    "build_model",
    "head_of",
    "load_checkpoint",
    "load_tokenizer",
    "save_checkpoint",
]
