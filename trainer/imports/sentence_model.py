"""Models of sentence-transformers and SetFit: a backbone, pooling and layers, and SetFit's linear classifier."""

from __future__ import annotations

import json
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from serving.errors import InputError
from trainer.imports.source import SETFIT, SETFIT_HEAD, SETFIT_PICKLE, Source
from trainer.imports.transformers_model import Loaded
from trainer.model.checkpoint import ModelSpec, build_model
from trainer.model.heads import PooledClassifier
from trainer.model.model_folder import read_json
from trainer.model.refusal import refusing

SAVE_HEAD = f"""\
  import json, numpy, setfit, safetensors.numpy
  head = setfit.SetFitModel.from_pretrained("FOLDER").model_head
  safetensors.numpy.save_file({{"coef": numpy.float32(head.coef_), "intercept": numpy.float32(head.intercept_)}},
      "FOLDER/{SETFIT_HEAD}", metadata={{"classes": json.dumps([str(each) for each in head.classes_])}})"""


def load_vectors(source: Source) -> Loaded:
    base = source.base
    spec = ModelSpec(
        "vector", base.pooling, 1, normalized=base.modules.normalized, library_head=False, dense=base.modules.dense
    )
    return Loaded(build_model(base, spec, []).eval(), spec)


def read_classes(source: Source) -> list[str]:
    """SetFit's labels, in the order of the logits; raises InputError."""
    named = read_json(source.folder / SETFIT).get("labels")
    weights, classes = _read_head(source)
    count = 2 if len(weights["intercept"]) == 1 else len(weights["intercept"])
    found = [str(each) for each in named] if isinstance(named, list) else classes
    return found if len(found) == count else [f"LABEL_{number}" for number in range(count)]


def load_setfit(source: Source) -> Loaded:
    """scikit-learn's logistic regression on the vectors; of two labels it has the second's log odds."""
    base, (weights, _) = source.base, _read_head(source)
    coef, intercept = weights["coef"], weights["intercept"]
    if len(intercept) == 1:
        coef, intercept = (torch.cat([torch.zeros_like(each), each]) for each in (coef, intercept))
    normalized = base.modules.normalized or read_json(source.folder / SETFIT).get("normalize_embeddings") is True
    spec = ModelSpec(
        "sequence", base.pooling, len(intercept), normalized=normalized, library_head=False, dense=base.modules.dense
    )
    model = build_model(base, spec, [])
    assert isinstance(model, PooledClassifier)
    _fill(model, coef, intercept, source)
    return Loaded(model.eval(), spec)


def _fill(model: PooledClassifier, coef: Tensor, intercept: Tensor, source: Source) -> None:
    if coef.shape != model.classifier.weight.shape or intercept.shape != model.classifier.bias.shape:
        raise InputError(
            f"{source.base.id}: {SETFIT_HEAD} has coef {[*coef.shape]} and intercept {[*intercept.shape]}, for vectors"
            f" of {model.width} numbers; save it again",
            field="model",
        )
    with torch.no_grad():
        model.classifier.weight.copy_(coef)
        model.classifier.bias.copy_(intercept)


def _read_head(source: Source) -> tuple[dict[str, Tensor], list[str]]:
    path = source.folder / SETFIT_HEAD
    if not path.is_file():
        raise InputError(
            f"{source.base.id}: SetFit's head {SETFIT_PICKLE} is a pickle, which may run any code and is never loaded."
            f" Where you trust it, save it once as {SETFIT_HEAD}:\n{SAVE_HEAD}",
            field="model",
        )
    with refusing(source.base.id, f"{SETFIT_HEAD} cannot be loaded"), safe_open(path, "pt") as file:
        weights = {name: file.get_tensor(name).float() for name in ("coef", "intercept")}
        classes: Any = json.loads((file.metadata() or {}).get("classes", "[]"))
        return weights, [str(each) for each in classes]
