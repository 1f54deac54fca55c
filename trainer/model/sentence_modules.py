"""What the files of sentence-transformers say about a folder's vectors: pooling, dense layers, length 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn

from serving.errors import InputError, quote
from trainer.model.heads import ACTIVATIONS, POOLINGS, Dense
from trainer.model.model_folder import WEIGHTS, read_any_json, read_json
from trainer.model.refusal import refusing

MODULES, POOLING_FOLDER = "modules.json", "1_Pooling"
SUPPORTED = f"pooling by {', '.join(POOLINGS)}; Dense with {', '.join(ACTIVATIONS)}; Normalize"

RENAMED = {"lasttoken": "last"}
FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""In the order in which sentence-transformers joins several."""
_ACTIVATIONS = {kind.__name__: name for name, kind in ACTIVATIONS.items()}
VECTOR = "sentence_embedding"


@dataclass(frozen=True)
class SentenceModules:
    """The modules behind the backbone.

    Attributes:
        pooling: names of `trainer.model.heads.POOLINGS`, joined by ``+``; None where the files name none.
        dense: the layers behind it, in order.
        weights: a safetensors file for each.
        normalized: vectors have length 1.
        unsupported: what the files ask for and is not done.
    """

    pooling: str | None = None
    dense: tuple[Dense, ...] = ()
    weights: tuple[Path, ...] = ()
    normalized: bool = False
    unsupported: tuple[str, ...] = ()

    def without(self, what: str) -> SentenceModules:
        return replace(self, unsupported=(*self.unsupported, what))


def read_modules(folder: Path) -> SentenceModules:
    """Raises InputError for a broken file."""
    parts = list(_parts(folder))
    pooling = next((path for kind, path in parts if kind == "Pooling"), folder / POOLING_FOLDER)
    found = _read_pooling(pooling)
    for kind, path in parts:
        if kind == "Dense":
            found = _add_dense(found, path)
        elif kind == "Normalize":
            found = replace(found, normalized=True)
        elif kind not in ("Transformer", "Pooling", "Dropout"):  # dropout is for training
            found = found.without(f"{'an' if kind[:1] in 'AEIOU' else 'a'} {kind} module")
    return found


def load_dense(modules: nn.Sequential, weights: Sequence[Path]) -> None:
    """Fill the layers from their files; raises InputError."""
    for module, path in zip(modules, weights, strict=True):
        with refusing(str(path), "cannot be loaded"), safe_open(path, "pt") as tensors:
            state = {name.removeprefix("linear."): tensors.get_tensor(name).float() for name in tensors.keys()}  # noqa: SIM118
            module[0].load_state_dict(state)  # type: ignore[index]


def _parts(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each module's class, by its last name, and its folder."""
    modules = read_any_json(folder / MODULES)
    for number, each in enumerate(modules if isinstance(modules, list) else []):
        if not isinstance(each, dict):
            continue
        kind, path = str(each.get("type", "")).rpartition(".")[2], each.get("path", f"{number}_")
        if not isinstance(path, str) or Path(path).name != path.rstrip("/"):
            raise InputError(f"{folder / MODULES}: path: {quote(path)} is no name of a folder beside it", field="model")
        yield kind, folder / path


def _read_pooling(folder: Path) -> SentenceModules:
    names = [RENAMED.get(name, name) for name in _pooling_names(read_json(folder / "config.json"))]
    unknown = tuple(f"pooling {name!r}" for name in names if name not in POOLINGS)
    return SentenceModules("+".join(name for name in names if name in POOLINGS) or None, unsupported=unknown)


def _pooling_names(config: dict[str, Any]) -> list[str]:
    if named := config.get("pooling_mode"):
        return list(map(str, named)) if isinstance(named, list) else [str(named)]
    other = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    return [FLAGS.get(key, key.removeprefix("pooling_mode_")) for key in sorted(other, key=_place)]


def _place(flag: str) -> int:
    return list(FLAGS).index(flag) if flag in FLAGS else len(FLAGS)


def _add_dense(found: SentenceModules, folder: Path) -> SentenceModules:
    config = read_json(folder / "config.json")
    asked = [
        f"{key}: {quote(config[key])}"
        for key, usual in (("module_input_name", VECTOR), ("module_output_name", VECTOR), ("use_residual", False))
        if config.get(key) not in (None, usual)
    ]
    if found.normalized:
        asked.append("Normalize before it")
    activation = _activation(config.get("activation_function", "torch.nn.Tanh"))
    if activation is None:
        asked.append(f"activation_function {quote(config['activation_function'])}")
    if not (folder / WEIGHTS).is_file():
        asked.append(f"no {WEIGHTS} in {folder.name}, and pickled weights are never read: save it with safetensors")
    if asked or activation is None:
        return found.without(f"a Dense module ({'; '.join(asked)})")
    layer = _read_layer(config, activation, folder)
    return replace(found, dense=(*found.dense, layer), weights=(*found.weights, folder / WEIGHTS))


def _activation(name: Any) -> str | None:
    """The name is looked up, and nothing imported."""
    if name is None:
        return "identity"
    return _ACTIVATIONS.get(name.rpartition(".")[2]) if isinstance(name, str) and name.startswith("torch.nn.") else None


def _read_layer(config: dict[str, Any], activation: str, folder: Path) -> Dense:
    """Of the weights in the file's header; raises InputError where they are not those of the config."""
    with refusing(str(folder), f"{WEIGHTS} cannot be loaded"), safe_open(folder / WEIGHTS, "pt") as tensors:
        shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118 - no mapping
    try:
        layer = Dense(config["in_features"], config["out_features"], config.get("bias", True) is True, activation)
    except (KeyError, ValueError) as error:
        raise InputError(f"{folder / 'config.json'}: {error}; get the model again", field="model") from None
    wanted = {"linear.weight": [layer.out_features, layer.in_features]}
    wanted |= {"linear.bias": [layer.out_features]} if layer.bias else {}
    if shapes != wanted:
        raise InputError(f"{folder / WEIGHTS}: has {shapes}, and its config.json says {wanted}", field="model")
    return layer
