"""Which weights are trained: all, the classifier, the last layers, or low-rank adapters."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from serving.errors import InputError
from trainer.model.four_bits.backbone import dequantise, is_quantised, quantise
from trainer.model.four_bits.library import import_peft
from trainer.model.heads import Model, backbone_of
from trainer.model.layers import layers_of
from trainer.recipe.training import Lora, Training


def choose_weights(model: Model, settings: Training) -> None:
    """Set ``requires_grad`` by ``training.trainable``; raises InputError."""
    if settings.freeze_embeddings:
        backbone_of(model).get_input_embeddings().requires_grad_(False)  # type: ignore[operator]
    if settings.trainable == "classifier":
        _train_head_only(model)
    elif settings.trainable == "last_layers":
        _freeze_but_last(backbone_of(model), settings.last_layers or 1)
    elif settings.trainable == "lora":
        _add_adapters(model, settings.lora or Lora())


def merge_adapters(model: Model) -> None:
    """In fp32, also of a backbone of 4 bits: peft would round the sum to 4 bits again."""
    backbone = backbone_of(model)
    if is_quantised(backbone):
        backbone = _on_dequantised(backbone)
    if hasattr(backbone, "merge_and_unload"):
        model.put_backbone(backbone.merge_and_unload())  # type: ignore[operator]


def _on_dequantised(adapted: Any) -> nn.Module:
    """The same adapters on the backbone in fp32."""
    peft = import_peft()
    config, weights = adapted.peft_config["default"], peft.get_peft_model_state_dict(adapted)
    backbone = adapted.unload()
    dequantise(backbone)
    found = _with_adapters(backbone, config)
    peft.set_peft_model_state_dict(found, weights)
    return found


def _train_head_only(model: Model) -> None:
    backbone = backbone_of(model)
    backbone.requires_grad_(False)
    # no dropout in it either; Trainer calls train() before each step, hence the hook
    backbone.register_forward_pre_hook(lambda module, _: module.eval() and None)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise InputError(
            "training.trainable: classifier: this task has no layer but the backbone; give all, last_layers or lora",
            field="training.trainable",
        )


def _freeze_but_last(backbone: nn.Module, count: int) -> None:
    layers = layers_of(backbone)
    if count > len(layers):
        raise InputError(
            f"training.last_layers: the base model has {len(layers)} layers, not {count}; give at most {len(layers)}",
            field="training.last_layers",
        )
    backbone.requires_grad_(False)
    for layer in list(layers)[-count:]:
        layer.requires_grad_(True)


def _add_adapters(model: Model, lora: Lora) -> None:
    if lora.load_in_4bit:
        quantise(backbone_of(model), lora)
    config = import_peft().LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        use_dora=lora.use_dora,
        target_modules=list(lora.target_modules) if lora.target_modules else "all-linear",
    )
    try:
        model.put_backbone(_with_adapters(backbone_of(model), config))
    except ValueError as error:
        raise InputError(f"training.lora: {str(error).splitlines()[0]}", field="training.lora") from error


def _with_adapters(backbone: nn.Module, config: Any) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of peft's own use of transformers
        found: nn.Module = import_peft().get_peft_model(backbone, config)
    return found
