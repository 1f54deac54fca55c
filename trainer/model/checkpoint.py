"""Models built from a base model, and the checkpoint folder: safetensors and JSON only.

``model.safetensors`` is the whole model, for transformers' ``AutoModelFor…``, or, with a head of this project, the
backbone; that head is ``head.safetensors``. ``task.json`` holds task, labels, settings and `ModelSpec`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from serving.bundle.manifest import Limits
from serving.errors import InputError, first_problem
from serving.tasks import TASKS
from serving.tasks.base import Task, TaskSettings
from trainer.model.architecture import LIBRARY, RELATIVE_TYPES, backbone_class, read_architecture
from trainer.model.base_model import BaseCheckpoint
from trainer.model.building import bounded
from trainer.model.elsewhere import save_backbone, save_whole, standardise
from trainer.model.heads import (
    GENERATING,
    Dense,
    GeneratingModel,
    Head,
    LayeredTagger,
    LibraryModel,
    Model,
    OwnModel,
    PooledClassifier,
    PooledModel,
    SpanModel,
    head_of,
)
from trainer.model.model_folder import HEAD, TASK, TOKENIZER_CONFIG, Weights, check_folder, read_any_json, read_json
from trainer.model.own_head import build_head
from trainer.model.quiet import quiet_transformers
from trainer.model.refusal import refusing
from trainer.model.sentence_files import write_sentence_files
from trainer.model.sentence_modules import load_dense


@dataclass(frozen=True)
class ModelSpec:
    """The architecture around a backbone.

    Attributes:
        pooling: of `trainer.model.heads.pool`; ``cls`` is transformers' own head of a sequence.
        logits: per text or token.
        normalized: vectors are scaled to length 1.
        layers: how many of the last ones the classifier reads.
        library_head: whether transformers has a head for this architecture.
        dense: layers between vector and classifier.
        classifier: the extension that builds it; empty: a linear layer.
    """

    head: Head
    pooling: str
    logits: int
    normalized: bool = False
    layers: int = 1
    library_head: bool = True
    dense: tuple[Dense, ...] = ()
    classifier: str = ""

    @property
    def own_head(self) -> bool:
        """Whether the head is this project's."""
        if self.head in GENERATING:
            return False
        if self.head == "vector" or not self.library_head or self.layers > 1 or self.classifier:
            return True
        return self.head == "sequence" and (self.pooling != "cls" or self.normalized or bool(self.dense))


@dataclass(frozen=True)
class Checkpoint:
    """The model is in eval mode and fp32."""

    model: Model
    tokenizer: PreTrainedTokenizerFast
    task: Task
    model_spec: ModelSpec
    max_length: int

    @property
    def labels(self) -> list[str]:
        return self.task.labels


def build_model(
    base: BaseCheckpoint, model_spec: ModelSpec, labels: Sequence[str], attn_implementation: str | None = None
) -> Model:
    """A fresh head, drawn from torch's global generator; raises InputError where backbone weights are missing."""
    model = put_fresh_head(_load_backbone(base, model_spec, attn_implementation), model_spec, labels)
    if isinstance(model, PooledModel) and model_spec.dense == base.modules.dense:  # else a trained head has them
        load_dense(model.dense, base.modules.weights)
    return model


def put_fresh_head(model: PreTrainedModel, model_spec: ModelSpec, labels: Sequence[str]) -> Model:
    """Around a backbone, or in the place of the head that a task model of transformers has."""
    headed = add_head(model, model_spec)
    name_labels(headed.config, labels[-model_spec.logits :])  # of two labels, one logit is that of the second
    for module in [] if model_spec.classifier else head_of(headed):  # an extension's has weights of its own choice
        _reset(module, getattr(headed.config, "initializer_range", 0.02))
    return headed


def name_labels(config: PretrainedConfig, labels: Sequence[str]) -> None:
    """In the order of the logits, if they have names."""
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {name: at for at, name in enumerate(labels)}


def load_tokenizer(
    folder: Path, max_length: int | None = None, inputs: Sequence[str] | None = None
) -> PreTrainedTokenizerFast:
    """The fast tokenizer, which neither truncates nor pads by itself; raises InputError.

    ``inputs`` are those of the model, by default what its config says.
    """
    with refusing(str(folder), "its tokenizer cannot be read"), quiet_transformers():
        names = inputs or _input_names(AutoConfig.from_pretrained(folder, local_files_only=True))
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, model_input_names=list(names))
    if tokenizer.pad_token is None and (token := tokenizer.eos_token or tokenizer.sep_token):
        tokenizer.pad_token = token  # causal families have none; padding is masked, whatever it is
    tokenizer.padding_side = "right"  # on the left it would move the positions of causal models
    if missing := _missing_part(tokenizer):
        raise InputError(f"model: the tokenizer has no {missing}; choose another base model", field="model")
    tokenizer.model_max_length = max_length or tokenizer.model_max_length
    _disable_limits(tokenizer)
    return tokenizer


def save_checkpoint(
    model: Model, model_spec: ModelSpec, task: Task, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """In one step: ``folder`` is complete or absent."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()  # fails where it is still there, such as a link
    with quiet_transformers():
        _disable_limits(tokenizer)
        tokenizer.save_pretrained(partial)
        if isinstance(model, OwnModel):
            save_backbone(model, task, partial)
        else:
            save_whole(model, task, partial)
    if isinstance(model, PooledModel) and not isinstance(model, PooledClassifier):
        write_sentence_files(model, tokenizer.model_max_length, partial)
    if weights := {name: value.contiguous() for name, value in own_head(model).state_dict().items()}:
        save_file(weights, partial / HEAD)
    _write_task(model_spec, task, partial / TASK)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def load_checkpoint(folder: Path, attn_implementation: str | None = None) -> Checkpoint:
    """On the CPU; raises InputError. ``attn_implementation`` is transformers' own argument."""
    weights = check_folder(folder, str(folder))
    model_spec, task, in_unit = read_task(folder)
    source = _Source(str(folder), folder, read_architecture(folder, str(folder)), weights)
    model = add_head(_load_weights(source, model_spec, attn_implementation=attn_implementation), model_spec)
    if (head := own_head(model)).state_dict():
        with refusing(str(folder), f"{HEAD} cannot be loaded"):
            head.load_state_dict(load_file(folder / HEAD))
    if isinstance(model, LibraryModel) and in_unit:
        standardise(model, task)
    tokenizer = load_tokenizer(folder, inputs=read_json(folder / TOKENIZER_CONFIG).get("model_input_names"))
    return Checkpoint(model.eval(), tokenizer, task, model_spec, tokenizer.model_max_length)


def check_weights(base: BaseCheckpoint, model_spec: ModelSpec) -> None:
    """Raise InputError where `build_model` would, without reading the weights."""
    _load_base_weights(base, model_spec, device_map="meta")


def _load_backbone(base: BaseCheckpoint, model_spec: ModelSpec, attn_implementation: str | None) -> PreTrainedModel:
    model = _load_base_weights(base, model_spec, attn_implementation=attn_implementation)
    if model_spec.own_head and getattr(model, "pooler", None) is not None:
        model.pooler.requires_grad_(False)  # AutoModel wants it; no answer uses it
    return model


def _load_base_weights(base: BaseCheckpoint, model_spec: ModelSpec, **options: Any) -> PreTrainedModel:
    """With a head for as many labels as the task has."""
    if not model_spec.own_head and model_spec.head in ("sequence", "token"):
        options["num_labels"] = model_spec.logits
    return _load_weights(_Source(base.id, base.folder, base.config, base.weights), model_spec, **options)


class _Source(NamedTuple):
    """A checked folder; messages call it ``id``."""

    id: str
    folder: Path
    config: PretrainedConfig
    weights: Weights


def _load_weights(source: _Source, model_spec: ModelSpec, **options: Any) -> PreTrainedModel:
    """Raises InputError unless all weights of the backbone are in its file, in the config's shapes."""
    options |= {"dtype": torch.float32, "local_files_only": True, "ignore_mismatched_sizes": True}
    with refusing(source.id, "cannot be loaded"), quiet_transformers(), bounded(source.id, source.weights):
        kind = _model_class(source.config, model_spec)
        model: PreTrainedModel
        model, info = kind.from_pretrained(source.folder, output_loading_info=True, **options)
    headless = model_spec.own_head or model_spec.head in GENERATING
    lacking = [*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])]
    prefix = "" if headless else f"{model.base_model_prefix}."
    lacking = [key for key in lacking if key.startswith(prefix) and "pooler" not in key]
    if lacking:
        raise InputError(
            f"model: {source.id}: {len(lacking)} weights are not in its safetensors file, or in another shape than its"
            f" config.json says, such as {min(lacking)}; the file belongs to another architecture",
            field="model",
        )
    return model


def _model_class(config: PretrainedConfig, model_spec: ModelSpec) -> Any:
    return backbone_class(config) if model_spec.own_head else LIBRARY[model_spec.head]


def add_head(model: PreTrainedModel, model_spec: ModelSpec) -> Model:
    """Around a backbone, or a task model of transformers that has its own."""
    if not model_spec.own_head:
        return GeneratingModel(model) if model_spec.head in GENERATING else LibraryModel(model)
    model.config.use_cache = False  # of keys and values, which only generation needs
    pooled: dict[str, Any] = {name: getattr(model_spec, name) for name in ("layers", "dense", "normalized")}
    if model_spec.head == "vector":
        return PooledModel(model, model_spec.pooling, **pooled)
    headed: PooledClassifier | LayeredTagger
    if model_spec.head in ("token", "span"):
        kind = LayeredTagger if model_spec.head == "token" else SpanModel
        headed = kind(model, model_spec.layers, model_spec.logits)
    else:
        headed = PooledClassifier(model, model_spec.pooling, model_spec.logits, **pooled)
    if model_spec.classifier:
        headed.classifier = build_head(model_spec.classifier, headed.classifier.in_features, model_spec.logits)
    return headed


def own_head(model: Model) -> nn.Module:
    """What HEAD holds: the dense layers and the classifier; the names of a linear one have no prefix."""
    head = nn.Module()
    if isinstance(model, PooledModel) and len(model.dense):
        head.dense = model.dense
    if isinstance(model, (PooledClassifier, LayeredTagger)):
        if not isinstance(model.classifier, nn.Linear):
            head.classifier = model.classifier
            return head
        for name, weight in model.classifier.named_parameters():
            head.register_parameter(name, weight)
    return head


def _reset(module: nn.Module, spread: float) -> None:
    """A head trained for other labels is never kept."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=spread)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif hasattr(layer, "reset_parameters"):
            layer.reset_parameters()  # type: ignore[operator]


def _input_names(config: PretrainedConfig) -> list[str]:
    """Token types exactly where the model has several; ALBERT's and DeBERTa's tokenizers are wrong about it."""
    types = (getattr(config, "type_vocab_size", 0) or 0) > 1 or config.model_type in RELATIVE_TYPES
    return ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]


def _missing_part(tokenizer: PreTrainedTokenizerFast) -> str | None:
    """transformers builds a tokenizer without files from special tokens alone."""
    if not tokenizer.is_fast:
        return "fast version (tokenizer.json)"
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        return "vocabulary"
    return None if tokenizer.pad_token else "padding token"


def _disable_limits(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


def _write_task(model_spec: ModelSpec, task: Task, path: Path) -> None:
    content = {
        "task": task.name,
        "labels": task.labels,
        "settings": task.settings.model_dump(mode="json"),
        **asdict(model_spec),
        "in_unit": True,
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_task(folder: Path) -> tuple[ModelSpec, Task, bool]:
    """Of a checkpoint, and whether a regression's weights give numbers, not standard scores as earlier versions' do.

    Raises InputError.
    """
    path = folder / TASK
    content = read_any_json(path)
    if content is None:
        raise InputError(f"{path.parent}: has no {TASK}; give the checkpoint of a run that tuneship train made")
    try:
        kind = TASKS[content["task"]]
        content["settings"].pop("clip", None)  # earlier runs cut pairs by characters
        settings: TaskSettings = kind.settings_type.model_validate(content["settings"])
        spec = {field.name: content[field.name] for field in fields(ModelSpec) if field.name in content}
        spec["dense"] = tuple(Dense(**each) for each in spec.get("dense", ()))
        return ModelSpec(**spec), kind(content["labels"], settings, Limits()), content.get("in_unit") is True
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise InputError(f"{path}: is no {TASK} of this version ({problem}); train the run again") from error
