"""A task model of transformers as one of `trainer.model.heads`.

Where transformers' own head knows padding by the attention mask it is kept; the others become a pooling, dense layers
and a classifier of the same weights.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from serving.errors import InputError
from trainer.imports.adapter import adapter_shapes, classifier_size, merge_adapter
from trainer.imports.source import Source
from trainer.model.architecture import LIBRARY, backbone_class, has_library_head, natural_pooling
from trainer.model.building import bounded
from trainer.model.checkpoint import ModelSpec, add_head, own_head
from trainer.model.heads import Model, PooledModel, without_padding
from trainer.model.library_heads import describe_unknown, head_layers, own_spec, own_weights
from trainer.model.quiet import quiet_transformers
from trainer.model.refusal import refusing


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
    base, adapter = source.base, adapter_shapes(source.folder) if source.kind == "PEFT adapter" else {}
    count = len(labels) if labels else classifier_size(adapter)
    if source.head in ("sequence", "token") and count:
        options["num_labels"] = count
    with refusing(base.id, "cannot be loaded"), quiet_transformers(), bounded(base.id, base.weights):
        model: Any
        model, info = LIBRARY[source.head].from_pretrained(base.folder, output_loading_info=True, **options)
    _require_all(info, source, model, adapter)
    return (merge_adapter(model, source.folder, base.id) if adapter else model).eval()


def convert(model: Any, source: Source, logits: int) -> Loaded:
    """Raises InputError for a head that is none of ours."""
    head, config = source.head, model.config
    if has_library_head(config, head):
        spec = ModelSpec(head, "cls" if head == "sequence" else natural_pooling(config), logits)
        return Loaded(add_head(model, spec), spec, model)
    backbone: Any = getattr(model, model.base_model_prefix, None)
    weights = model.state_dict()
    layers = head_layers(config, head, weights)
    if not layers or type(backbone) not in _classes(backbone_class(config)._model_mapping.get(type(config), ())):
        reason = describe_unknown(config, head, type(model).__name__)
        raise InputError(
            f"{source.base.id}: {reason}; give another checkpoint, or fine-tune its base model by tuneship train",
            field="model",
        )
    spec = own_spec(config, head, layers, weights)
    converted = add_head(backbone, spec)
    own_head(converted).load_state_dict(own_weights(layers, weights))
    return Loaded(converted.eval(), spec, model)


@torch.inference_mode()
def original_logits(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """Of one text, unpadded, as transformers' pipeline runs it: in the shape of `trainer.model.heads`."""
    output = model(**inputs)
    if "start_logits" not in output:
        return output.logits.float()  # type: ignore[no-any-return]
    logits = torch.stack([output.start_logits, output.end_logits], dim=-1).float()
    return without_padding(logits, inputs["attention_mask"])


def _require_all(info: dict[str, Any], source: Source, model: PreTrainedModel, adapter: Container[str]) -> None:
    """What a base model lacks may be in its ``adapter``."""
    mismatched = {key: shapes for key, *shapes in info["mismatched_keys"]}
    lacking = sorted(key for key in [*info["missing_keys"], *mismatched] if key not in adapter)
    if not lacking:
        return
    head = [key for key in lacking if not key.startswith(f"{model.base_model_prefix}.")]
    rows, asked = (shape[0] for shape in mismatched.get(head[0] if head else "", [[0], [0]]))
    if rows != asked and all(key in mismatched for key in head):
        raise InputError(
            f"{source.base.id}: its weights give {rows} labels ({head[0]}), and there are names for {asked}; give"
            f" --labels FILE with {rows} lines, in the order of the logits",
            field="labels",
        )
    if mismatched:
        key, (saved, asked_shape) = next(iter(mismatched.items()))
        raise InputError(
            f"{source.base.id}: {key} has the shape {[*saved]}, and its config.json asks for {[*asked_shape]}: the file"
            " belongs to another model; get both again",
            field="model",
        )
    what = "of its head, so that it would answer at random," if head else "of its backbone"
    raise InputError(
        f"{source.base.id}: {len(lacking)} weights {what} are not in its safetensors file, such as {lacking[0]}; give a"
        " fine-tuned checkpoint, or fine-tune this one by tuneship train",
        field="model",
    )


def _classes(kinds: Any) -> tuple[type, ...]:
    return kinds if isinstance(kinds, tuple) else (kinds,)
