"""Which weights learn: all of them, the classifier alone, the last layers, or low-rank adapters."""

from __future__ import annotations

import warnings

from torch import nn

from serving.errors import InputError
from trainer.model.heads import Model, backbone_of
from trainer.recipe.sections import Lora, Training


def choose_weights(model: Model, settings: Training) -> None:
    """Leave a gradient to what ``training.trainable`` says; raises InputError where the model cannot do it."""
    if settings.freeze_embeddings:
        backbone_of(model).get_input_embeddings().requires_grad_(False)  # type: ignore[operator]
    if settings.trainable == "classifier":
        _freeze(backbone_of(model))
        _require_some(model)
    elif settings.trainable == "last_layers":
        _freeze_but_last(backbone_of(model), settings.last_layers or 1)
    elif settings.trainable == "lora":
        _adapt(model, settings.lora or Lora())


def merge_adapters(model: Model) -> None:
    """Add adapters, where there are any, to the weights that they adapt, and take them out of the model."""
    part = backbone_of(model)
    if hasattr(part, "merge_and_unload"):
        model.put_backbone(part.merge_and_unload())  # type: ignore[operator]


def layers_of(backbone: nn.Module) -> nn.ModuleList:
    """The backbone's layers in order: its longest list of modules."""
    lists = [module for module in backbone.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise InputError("training.trainable: last_layers: the base model has no list of layers", field="training")
    return max(lists, key=len)


def _freeze(module: nn.Module) -> None:
    """No gradients, no dropout; Trainer calls ``train()`` before each step, hence the hook."""
    module.requires_grad_(False)
    module.register_forward_pre_hook(lambda frozen, _: frozen.eval() and None)


def _freeze_but_last(backbone: nn.Module, count: int) -> None:
    layers = layers_of(backbone)
    if count > len(layers):
        raise InputError(
            f"training.last_layers: {count} asked, and the base model has {len(layers)}", field="training.last_layers"
        )
    backbone.requires_grad_(False)
    for layer in list(layers)[-count:]:
        layer.requires_grad_(True)


def _require_some(model: Model) -> None:
    if not any(weight.requires_grad for weight in model.parameters()):
        raise InputError(
            "training.trainable: classifier: this task has no layer but the backbone; give all, last_layers or lora",
            field="training.trainable",
        )


def _adapt(model: Model, lora: Lora) -> None:
    from peft import LoraConfig, get_peft_model

    backbone = backbone_of(model)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=list(lora.target_modules) if lora.target_modules else "all-linear",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's own use of transformers, nothing of the user's
            adapted = get_peft_model(backbone, config)
    except ValueError as error:
        raise InputError(f"training.lora: {str(error).splitlines()[0]}", field="training.lora") from error
    model.put_backbone(adapted)
