"""transformers' heads that look for a padding or end token in the text, as heads of this project with their weights."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PretrainedConfig

from trainer.model.architecture import OWN_DECODER_INPUT, has_text_encoder, kind_of, natural_pooling
from trainer.model.checkpoint import ModelSpec
from trainer.model.heads import ACTIVATIONS, Dense, Head


@dataclass(frozen=True)
class Layer:
    """A linear one, by its name in transformers' model and file."""

    name: str
    activation_function: str = "identity"


def head_layers(config: PretrainedConfig, head: Head, names: Container[str]) -> list[Layer]:
    """Behind the vector, in order, the classifier last; none for another head than these, or one not in ``names``."""
    for layers in _known_layers(config, head):
        if all(f"{layer.name}.weight" in names for layer in layers):
            return layers
    return []


def describe_unknown(config: PretrainedConfig, head: Head, name: str) -> str:
    """Why the head of a class of transformers is none of these."""
    if has_text_encoder(config) and head != "token":
        return f"{name} reads by its decoder, and here the encoder of a {config.model_type} alone reads"
    return f"the head of {name} is none of those that docs/base-models.md lists"


def own_spec(config: PretrainedConfig, head: Head, layers: list[Layer], weights: Mapping[str, Tensor]) -> ModelSpec:
    """Of the head that gives the same logits."""
    *dense, classifier = layers
    return ModelSpec(
        head,
        natural_pooling(config),
        len(weights[f"{classifier.name}.weight"]),
        library_head=False,
        dense=tuple(_describe(layer, weights) for layer in dense),
    )


def own_weights(layers: list[Layer], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By their names in head.safetensors; a classifier without a bias has one of zeros."""
    *dense, classifier = layers
    prefixes = {classifier.name: "", **{layer.name: f"dense.{at}.0." for at, layer in enumerate(dense)}}
    found = {"bias": torch.zeros(len(weights[f"{classifier.name}.weight"]))}
    for name, prefix in prefixes.items():
        found |= {
            prefix + part: weights[f"{name}.{part}"] for part in ("weight", "bias") if f"{name}.{part}" in weights
        }
    return found


def _known_layers(config: PretrainedConfig, head: Head) -> list[list[Layer]]:
    if head == "span":
        return [[Layer("qa_outputs")]]
    if head == "token":
        return [[Layer("classifier")], [Layer("score")]]
    if kind_of(config) == "causal":
        return [[Layer("score")]]
    if config.model_type in OWN_DECODER_INPUT:
        return [[Layer("classification_head.dense", "tanh"), Layer("classification_head.out_proj")]]
    activation = getattr(config, "summary_activation", None) or "identity"
    if getattr(config, "summary_type", None) == "last" and activation in ACTIVATIONS:  # XLNet
        return [[Layer("sequence_summary.summary", activation), Layer("logits_proj")], [Layer("logits_proj")]]
    return []


def _describe(layer: Layer, weights: Mapping[str, Tensor]) -> Dense:
    rows, columns = weights[f"{layer.name}.weight"].shape
    return Dense(columns, rows, f"{layer.name}.bias" in weights, layer.activation_function)
