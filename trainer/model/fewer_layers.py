"""A model with some of its layers."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from transformers import PretrainedConfig, PreTrainedModel

from serving.errors import InputError
from trainer.model.architecture import has_text_encoder, kind_of
from trainer.model.heads import GeneratingModel, LibraryModel, Model, OwnModel

KEY = "distil.layers"
T = TypeVar("T")
_NUMBERED = re.compile(r"^(.*?)\.(\d+)\.")


def pick_layers(choice: int | Sequence[int] | None, config: PretrainedConfig, model: str) -> list[int]:
    """The numbers of the layers to keep: a count of them evenly spaced from first to last, or as they are given.

    Raises InputError for layers that the model does not have.
    """
    count = int(getattr(config, "num_hidden_layers", 0) or 0)
    if choice is None:
        return list(range(count))
    if not count or (kind_of(config) == "encoder-decoder" and not has_text_encoder(config)):
        raise InputError(f"{KEY}: {model} has no single stack of layers; leave it out, or give another", field=KEY)
    most = choice if isinstance(choice, int) else choice[-1] + 1
    if most > count:
        asked = f"{choice} layers" if isinstance(choice, int) else f"layer {choice[-1]}"
        raise InputError(f"{KEY}: {model} has {count} layers, 0 to {count - 1}, and not {asked}", field=KEY)
    if not isinstance(choice, int):
        return list(choice)
    return [round(at * (count - 1) / (choice - 1)) for at in range(choice)] if choice > 1 else [0]


def keep_layers(model: Model, kept: Sequence[int]) -> None:
    """Replace the backbone's stack by the layers ``kept``; raises InputError where they cannot stand alone.

    The model is built anew from a config of so many layers, as it will be when its checkpoint is loaded.
    """
    assert not isinstance(model, GeneratingModel)
    whole: Any = model.model if isinstance(model, LibraryModel) else model.backbone
    if list(kept) == list(range(whole.config.num_hidden_layers)):
        return
    smaller = _build(whole, kept)
    model.config = smaller.config
    if isinstance(model, OwnModel):
        model.put_backbone(smaller)
    else:
        model.model = smaller


def _build(whole: PreTrainedModel, kept: Sequence[int]) -> PreTrainedModel:
    config = copy.deepcopy(whole.config)
    kinds = getattr(config, "layer_types", None)
    config.num_hidden_layers = len(kept)
    if kinds:
        config.layer_types = [kinds[at] for at in kept]
    smaller: PreTrainedModel = type(whole)._from_config(config, dtype=whole.dtype)
    weights = _renumber(whole.state_dict(), whole.config.num_hidden_layers, kept)
    expected = {name: value.shape for name, value in smaller.state_dict().items()}
    if {name: value.shape for name, value in weights.items()} != expected:
        raise InputError(
            f"{KEY}: a model_type {config.model_type!r} of the layers {[*kept]} has other weights than these layers;"
            " choose others, such as the first ones",
            field=KEY,
        )
    smaller.load_state_dict(weights)
    learned = {name: weight.requires_grad for name, weight in whole.named_parameters()}
    learned = _renumber(learned, whole.config.num_hidden_layers, kept)
    for name, weight in smaller.named_parameters():
        weight.requires_grad_(learned[name])
    return smaller


def _renumber(weights: dict[str, T], count: int, kept: Sequence[int]) -> dict[str, T]:
    """Without the other layers; a model whose layers share their weights keeps them all."""
    stacks: dict[str, set[int]] = {}
    for name in weights:
        if found := _NUMBERED.match(name):
            stacks.setdefault(found[1], set()).add(int(found[2]))
    stacked = [prefix for prefix, numbers in stacks.items() if numbers == set(range(count))]
    if len(stacked) != 1 or count == 1:
        return weights
    places, renamed = {old: new for new, old in enumerate(kept)}, {}
    for name, value in weights.items():
        found = _NUMBERED.match(name)
        if not found or found[1] != stacked[0]:
            renamed[name] = value
        elif int(found[2]) in places:
            renamed[f"{found[1]}.{places[int(found[2])]}.{name[found.end() :]}"] = value
    return renamed
