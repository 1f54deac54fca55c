"""A task model of transformers as one of `trainer.model.heads`.

Where transformers' own head knows padding by the attention mask it is kept; the others become a pooling, dense layers
and a classifier of the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from serving.errors import InputError
from trainer.imports.adapter import classifier_size, merge_adapter
from trainer.imports.source import Source
from trainer.model.architecture import LIBRARY, backbone_class, has_library_head, kind_of, natural_pooling
from trainer.model.building import bounded
from trainer.model.checkpoint import ModelSpec
from trainer.model.heads import (
    ACTIVATIONS,
    GENERATING,
    Dense,
    GeneratingModel,
    LayeredTagger,
    LibraryModel,
    Model,
    PooledClassifier,
    PooledModel,
    SpanModel,
    without_padding,
)
from trainer.model.quiet import quiet_transformers
from trainer.model.refusal import refusing

_TAGGERS = ("classifier", "score")
"""Names of the linear layer behind each token."""


@dataclass(frozen=True)
class Loaded:
    """The model, and transformers' own that it is held to; None where transformers has none."""

    model: Model
    model_spec: ModelSpec
    original: PreTrainedModel | None = None

    @property
    def width(self) -> int:
        """Of a vector."""
        return self.model.width if isinstance(self.model, PooledModel) else self.model_spec.logits


def load_model(source: Source, labels: Sequence[str] | None) -> PreTrainedModel:
    """With ``labels``, for as many; raises InputError where a weight of the head is missing too."""
    options: dict[str, Any] = {"dtype": torch.float32, "local_files_only": True, "ignore_mismatched_sizes": True}
    adapter = source.kind == "PEFT adapter"
    count = len(labels) if labels else classifier_size(source.folder) if adapter else None
    if source.head in ("sequence", "token") and count:
        options["num_labels"] = count
    base = source.base
    with refusing(base.id, "cannot be loaded"), quiet_transformers(), bounded(base.id, base.weights):
        model: Any
        model, info = LIBRARY[source.head].from_pretrained(base.folder, output_loading_info=True, **options)
    if not adapter:
        _require_all(info, source, model)
        return model.eval()
    lacking = [key for key in info["missing_keys"] if key.startswith(f"{model.base_model_prefix}.")]
    _require_all(
        {"missing_keys": [key for key in lacking if "pooler" not in key], "mismatched_keys": []}, source, model
    )
    return merge_adapter(model, source.folder, base.id).eval()


def convert(model: Any, source: Source, logits: int) -> Loaded:
    """Raises InputError for a head that is none of ours."""
    head, config = source.head, model.config
    if has_library_head(config, head):
        pooling = "cls" if head == "sequence" else natural_pooling(config)
        wrapped = GeneratingModel(model) if head in GENERATING else LibraryModel(model)
        return Loaded(wrapped, ModelSpec(head, pooling, logits), model)
    backbone: Any = getattr(model, model.base_model_prefix, None)
    kept = _classes(backbone_class(config)._model_mapping.get(type(config), ()))
    if type(backbone) not in kept:
        raise _no_conversion(source, model)
    backbone.config.use_cache = False  # of keys and values, which only generation needs
    if head == "sequence":
        return _convert_classifier(model, backbone, source, logits)
    classifier = model.qa_outputs if head == "span" else _linear(model, _TAGGERS)
    if classifier is None:
        raise _no_conversion(source, model)
    tagger = (SpanModel if head == "span" else LayeredTagger)(backbone, 1, logits)
    _copy(classifier, tagger.classifier)
    return Loaded(tagger, ModelSpec(head, natural_pooling(config), logits, library_head=False), model)


@torch.inference_mode()
def original_logits(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """Of one text, unpadded, as transformers' pipeline runs it: in the shape of `trainer.model.heads`."""
    output = model(**inputs)
    if "start_logits" not in output:
        return output.logits.float()  # type: ignore[no-any-return]
    logits = torch.stack([output.start_logits, output.end_logits], dim=-1).float()
    return without_padding(logits, inputs["attention_mask"])


def _convert_classifier(model: Any, backbone: PreTrainedModel, source: Source, logits: int) -> Loaded:
    """Of the last token: transformers' heads of causal models, of BART and its like, and of XLNet."""
    dense: list[tuple[Dense, nn.Linear]] = []
    if (score := _linear(model, ("score",))) is not None and kind_of(model.config) == "causal":
        classifier = score
    elif hasattr(model, "classification_head"):
        layer, classifier = model.classification_head.dense, model.classification_head.out_proj
        dense.append((_describe(layer, "tanh"), layer))
    elif hasattr(model, "sequence_summary") and model.config.summary_type == "last":
        layer, classifier = model.sequence_summary.summary, model.logits_proj
        activation = model.config.summary_activation or "identity"
        if activation not in ACTIVATIONS:
            raise _no_conversion(source, model)
        if isinstance(layer, nn.Linear):
            dense.append((_describe(layer, activation), layer))
    else:
        raise _no_conversion(source, model)
    layers, bias = tuple(each for each, _ in dense), classifier.bias is not None
    pooled = PooledClassifier(backbone, "last", logits, dense=layers, bias=bias)
    for module, (_, layer) in zip(pooled.dense, dense, strict=True):
        _copy(layer, module[0])  # type: ignore[index]
    _copy(classifier, pooled.classifier)
    spec = ModelSpec("sequence", "last", logits, library_head=False, dense=layers, bias=bias)
    return Loaded(pooled, spec, model)


def _require_all(info: dict[str, Any], source: Source, model: PreTrainedModel) -> None:
    mismatched = {key: shapes for key, *shapes in info["mismatched_keys"]}
    lacking = sorted([*info["missing_keys"], *mismatched])
    if not lacking:
        return
    head = [key for key in lacking if not key.startswith(f"{model.base_model_prefix}.")]
    if head and all(key in mismatched for key in head):
        rows, asked = mismatched[head[0]][0][0], mismatched[head[0]][1][0]
        raise InputError(
            f"{source.base.id}: its weights give {rows} labels ({head[0]}), and there are names for {asked}; give"
            f" --labels FILE with {rows} lines, in the order of the logits",
            field="labels",
        )
    what = "of its head, so that it would answer at random," if head else "of its backbone"
    raise InputError(
        f"{source.base.id}: {len(lacking)} weights {what} are not in its safetensors file, such as {lacking[0]}; give a"
        " fine-tuned checkpoint, or fine-tune this one by tuneship train",
        field="model",
    )


def _no_conversion(source: Source, model: PreTrainedModel) -> InputError:
    return InputError(
        f"{source.base.id}: the head of {type(model).__name__} depends on padding, and is not one of those converted;"
        " docs/base-models.md lists them, and tuneship train makes another",
        field="model",
    )


def _classes(kinds: Any) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)


def _linear(model: Any, names: Sequence[str]) -> nn.Linear | None:
    found = [each for name in names if isinstance(each := getattr(model, name, None), nn.Linear)]
    return found[0] if found else None


def _describe(layer: nn.Linear, activation: str) -> Dense:
    return Dense(layer.in_features, layer.out_features, layer.bias is not None, activation)


@torch.no_grad()
def _copy(source: nn.Linear, target: Any) -> None:
    target.weight.copy_(source.weight)
    if target.bias is not None:
        target.bias.copy_(torch.zeros_like(target.bias) if source.bias is None else source.bias)
