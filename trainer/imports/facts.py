"""What an import found and assumed: a part of the run's record."""

from __future__ import annotations

from typing import Any

import torch

from trainer.imports.imported_model import ImportedModel
from trainer.model.checkpoint import Checkpoint, ModelSpec
from trainer.setup.splits import Splits

NONE_HELD = "no others, so that int8 has no texts to calibrate with: see --calibration-rows"


def describe_import(model: ImportedModel, checkpoint: Checkpoint, splits: Splits) -> dict[str, Any]:
    source, spec = model.source, checkpoint.model_spec
    return {
        "kind": source.kind,
        "class": type(model.loaded.original).__name__ if model.loaded.original else source.kind,
        "head": _describe_head(spec),
        "pooling": spec.pooling if spec.own_head and spec.head in ("sequence", "vector") else "as its class has it",
        "length": checkpoint.max_length,
        "tokenizer": type(checkpoint.tokenizer).__name__,
        "labelled": splits.test.labelled,
        "held_back": _describe_held_back(model, splits),
        **source.about,
        "assumed": [*model.assumed, *_half_precision(getattr(source.config, "dtype", None))],
    }


def _describe_head(spec: ModelSpec) -> str:
    if not spec.own_head:
        return "transformers' own"
    parts = [spec.pooling, *(f"dense {each.out_features} ({each.activation_function})" for each in spec.dense)]
    parts += ["length 1"] if spec.normalized else []
    parts += [f"classifier of {spec.logits}"] if spec.head == "sequence" else []
    return " → ".join(parts)


def _describe_held_back(model: ImportedModel, splits: Splits) -> str:
    if model.recipe.data.test == model.recipe.data.train:
        return NONE_HELD
    return f"{len(splits.train)} rows to calibrate int8, {len(splits.validation)} to choose a variant, no others"


def _half_precision(dtype: Any) -> list[str]:
    half = dtype in (torch.float16, torch.bfloat16)
    return [f"weights are {dtype}, and answers are computed in fp32"] if half else []
