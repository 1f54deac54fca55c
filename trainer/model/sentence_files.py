"""The files by which sentence-transformers reads a checkpoint: ``SentenceTransformer`` gives the served vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from trainer.model.heads import PooledModel
from trainer.model.model_folder import WEIGHTS
from trainer.model.sentence_modules import FLAGS, MODULES, POOLING_FOLDER, RENAMED

_PACKAGE = "sentence_transformers.models"


def write_sentence_files(model: PooledModel, max_length: int, folder: Path) -> None:
    """Vectors have length 1, as served ones have unless a request asks otherwise."""
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for at, (kind, path) in enumerate(_write_modules(model, folder))
    ]
    _write_json(folder / MODULES, modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    _write_json(folder / "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})


def _write_modules(model: PooledModel, folder: Path) -> Iterator[tuple[str, str]]:
    """Gives the class and the folder of each."""
    modes = model.pooling.split("+")
    flags = {flag: RENAMED.get(name, name) in modes for flag, name in FLAGS.items()}
    width = model.width if not len(model.dense) else model.dense[0][0].in_features  # type: ignore[index]
    yield "Transformer", ""
    _write_json(folder / POOLING_FOLDER / "config.json", {"word_embedding_dimension": width // len(modes), **flags})
    yield "Pooling", POOLING_FOLDER
    for number, layer in enumerate(model.dense, 2):
        _write_dense(layer[0], layer[1], folder / f"{number}_Dense")  # type: ignore[index]
        yield "Dense", f"{number}_Dense"
    normalize = f"{len(model.dense) + 2}_Normalize"
    (folder / normalize).mkdir()
    yield "Normalize", normalize


def _write_dense(linear: nn.Linear, activation: nn.Module, folder: Path) -> None:
    kind = type(activation)
    config = {
        "in_features": linear.in_features,
        "out_features": linear.out_features,
        "bias": linear.bias is not None,
        "activation_function": f"{kind.__module__}.{kind.__name__}",
    }
    _write_json(folder / "config.json", config)
    save_file({f"linear.{name}": value.contiguous() for name, value in linear.state_dict().items()}, folder / WEIGHTS)


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
