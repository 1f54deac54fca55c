"""The classifier: a backbone and a head, made from a base model, kept in a checkpoint folder.

A checkpoint holds safetensors and JSON only. With mean pooling ``model.safetensors`` is the backbone alone
and ``head.safetensors`` the linear layer; with cls the whole is AutoModelForSequenceClassification's.
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
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from serving.errors import InputError
from trainer.backbone import Backbone, Pooling, checked_config
from trainer.quiet import quiet_transformers


class MeanPooledClassifier(nn.Module):
    """Mean of the token vectors, dropout, one linear layer."""

    def __init__(self, backbone: PreTrainedModel, num_labels: int) -> None:
        super().__init__()
        self.config = backbone.config
        self.backbone = backbone
        self.dropout = nn.Dropout(getattr(backbone.config, "hidden_dropout_prob", 0.1))
        self.classifier = nn.Linear(backbone.config.hidden_size, num_labels)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``{"logits": [batch, labels]}`` from token ids and mask, both ``[batch, tokens]``."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        output = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **types)
        vectors = mean_of_tokens(output.last_hidden_state, attention_mask)
        return {"logits": self.classifier(self.dropout(vectors))}

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Recompute the backbone's activations in the backward pass."""
        self.backbone.activation_checkpointing_enable(**options)


def mean_of_tokens(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean ``[batch, hidden]`` of the vectors ``[batch, tokens, hidden]`` that the mask keeps, in fp32."""
    mask = attention_mask.unsqueeze(-1).float()
    return (hidden.float() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: the model in eval mode and fp32, and what it takes to use it."""

    model: nn.Module
    tokenizer: PreTrainedTokenizerFast
    labels: list[str]
    max_length: int


def build_model(base: Backbone, pooling: Pooling, labels: Sequence[str], trainable: str) -> nn.Module:
    """The base model with a fresh head for ``labels``; random numbers come from torch's global generator.

    Raises InputError when the base model's weights do not fill the backbone.
    """
    names = dict(enumerate(labels))
    model = _mean_pooled(base, names) if pooling == "mean" else _library_classifier(base, names)
    for module in head_of(model):
        _reset(module, getattr(model.config, "initializer_range", 0.02))
    if trainable == "classifier":
        _freeze(backbone_of(model))
    return model


def backbone_of(model: nn.Module) -> nn.Module:
    """The part of a classifier that turns tokens into vectors."""
    return model.backbone if isinstance(model, MeanPooledClassifier) else model.base_model  # type: ignore


def head_of(model: nn.Module) -> list[nn.Module]:
    """The modules of a classifier that are not its backbone."""
    backbone = backbone_of(model)
    return [child for child in model.children() if child is not backbone]


def load_tokenizer(folder: Path, max_length: int | None = None) -> PreTrainedTokenizerFast:
    """The folder's fast tokenizer, which neither truncates nor pads by itself; else InputError."""
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"model: the tokenizer cannot be read ({str(error).splitlines()[0]})") from error
    lack = _tokenizer_lack(tokenizer)
    if lack:
        raise InputError(f"model: the tokenizer has no {lack}; choose another base model", field="model")
    tokenizer.model_max_length = max_length or tokenizer.model_max_length
    _unconstrain(tokenizer)
    return tokenizer


def save_checkpoint(model: nn.Module, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write ``folder`` aside and move it into place, so that it is whole or not there."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with quiet_transformers():
        _unconstrain(tokenizer)
        tokenizer.save_pretrained(partial)
        if isinstance(model, MeanPooledClassifier):
            model.backbone.save_pretrained(partial)
            _save_head(model.classifier, partial)
        else:
            model.save_pretrained(partial)  # type: ignore[operator]
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load_checkpoint(folder: Path, attn_implementation: str | None = None) -> Checkpoint:
    """The checkpoint in ``folder``, on the CPU; raises InputError where it is not whole.

    ``attn_implementation`` is transformers' own (``eager``, ``sdpa``); ``None`` leaves the choice to it.
    """
    config = checked_config(folder, str(folder))
    head = _head_facts(folder)
    options = {"dtype": torch.float32, "local_files_only": True, "attn_implementation": attn_implementation}
    with quiet_transformers():
        if head is None:
            model: nn.Module = AutoModelForSequenceClassification.from_pretrained(folder, **options)
        else:
            model = MeanPooledClassifier(AutoModel.from_pretrained(folder, **options), head["num_labels"])
            model.classifier.load_state_dict(load_file(folder / "head.safetensors"))
    tokenizer = load_tokenizer(folder)
    labels = [config["id2label"][str(at)] for at in range(len(config["id2label"]))]
    return Checkpoint(model.eval(), tokenizer, labels, tokenizer.model_max_length)


def _mean_pooled(base: Backbone, names: dict[int, str]) -> MeanPooledClassifier:
    with quiet_transformers():
        backbone, info = AutoModel.from_pretrained(
            base.folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
    _require_weights(base, [key for key in info["missing_keys"] if "pooler" not in key])
    _name_labels(backbone.config, names)
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler.requires_grad_(False)  # kept for AutoModel's sake, used by no answer
    return MeanPooledClassifier(backbone, len(names))


def _library_classifier(base: Backbone, names: dict[int, str]) -> nn.Module:
    with quiet_transformers():
        model, info = AutoModelForSequenceClassification.from_pretrained(
            base.folder,
            num_labels=len(names),
            dtype=torch.float32,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    prefix = f"{model.base_model_prefix}."
    missing = [key for key in info["missing_keys"] if key.startswith(prefix) and "pooler" not in key]
    _require_weights(base, missing)
    _name_labels(model.config, names)
    return model  # type: ignore[no-any-return]


def _require_weights(base: Backbone, missing: list[str]) -> None:
    if missing:
        raise InputError(
            f"model: {base.id}: {len(missing)} weights are not in its safetensors file,"
            f" such as {min(missing)}; the file belongs to another architecture",
            field="model",
        )


def _name_labels(config: Any, names: dict[int, str]) -> None:
    config.id2label = names
    config.label2id = {name: at for at, name in names.items()}


def _reset(module: nn.Module, spread: float) -> None:
    """Fresh weights, so that a head trained for other labels is never taken over."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=spread)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif hasattr(part, "reset_parameters"):
            part.reset_parameters()  # type: ignore[operator]


def _freeze(backbone: nn.Module) -> None:
    """No gradients, no dropout; Trainer calls ``train()`` before each step, hence the hook."""
    backbone.requires_grad_(False)
    backbone.register_forward_pre_hook(lambda module, _: module.eval() and None)


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


def _save_head(classifier: nn.Linear, folder: Path) -> None:
    labels, hidden = classifier.weight.shape
    facts = {"pooling": "mean", "num_labels": labels, "hidden_size": hidden}
    (folder / "head.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    save_file(
        {name: value.contiguous() for name, value in classifier.state_dict().items()},
        folder / "head.safetensors",
    )


def _head_facts(folder: Path) -> dict[str, Any] | None:
    path = folder / "head.json"
    if not path.is_file():
        return None
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts
