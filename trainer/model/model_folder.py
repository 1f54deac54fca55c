"""A model's folder, checked before any library reads it: its files, its JSON, its weights.

Weights are safetensors, of the names that transformers loads and records name; nothing leads to other files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from serving.files import read_regular, require_regular
from trainer.model.config_checks import check_config, check_tokenizer_config
from trainer.model.refusal import refusing

CONFIG, INDEX, WEIGHTS, TOKENIZER_CONFIG = (
    "config.json", "model.safetensors.index.json", "model.safetensors", "tokenizer_config.json",
)  # fmt: skip
TASK, HEAD = "task.json", "head.safetensors"
"""Of a run's checkpoint."""
LOADED = [
    "*.json", "model*.safetensors", HEAD, "*_Dense/model.safetensors", "adapter_model.safetensors", "*.txt", "*.model",
]  # fmt: skip
"""Patterns of what comes from the hub."""

_OBJECTS = (
    CONFIG, INDEX, TOKENIZER_CONFIG, "generation_config.json", "special_tokens_map.json", "added_tokens.json",
    "sentence_bert_config.json", "1_Pooling/config.json",
)  # fmt: skip
_ORIGINAL = "get the model that it was made from"
OTHER_WEIGHTS = {
    "tf_model.h5": "TensorFlow's, which transformers 5 no longer reads; convert it by an earlier version, up to 4.57",
    "flax_model.msgpack": "Flax's, which transformers 5 no longer reads; convert it by an earlier version, up to 4.57",
    "*.gguf": f"quantized for llama.cpp; {_ORIGINAL}",
    "*.onnx": f"exported already; {_ORIGINAL}",
}
"""What else a folder may hold, and what to do."""
_LFS = b"version https://git-lfs"
_MOST_BYTES = 2**25
_MOST_TOKENIZER_BYTES = 2**28
_MOST_HEADER_BYTES = 2**26
_DEEPEST = 32
_DISTRIBUTED = re.compile(r"shard-\d+-model-\d+-of-\d+\.safetensors")
"""transformers prefers them to model.safetensors."""


@dataclass(frozen=True)
class Weights:
    """What the safetensors headers tell: ``elements`` of all ``tensors`` together."""

    tensors: int
    elements: int


def check_folder(folder: Path, model: str) -> Weights:
    """Raise InputError for what is no transformers model, or asks to load, fetch or run more than its own files."""
    no_config = InputError(
        f"model: {model}: has no config.json{_describe_inside(folder)}; give a transformers model's folder",
        field="model",
    )
    if (folder / "adapter_config.json").exists():
        raise InputError(
            f"model: {model}: has adapter_config.json: it is an adapter, whose weights come on top of others;"
            " merge it into its base model (peft's merge_and_unload), and give the folder of that",
            field="model",
        )
    if not (folder / CONFIG).exists():
        raise no_config
    _require_regular_files(folder, model)
    content = {name: read_json(folder / name) for name in _OBJECTS}
    if not content[CONFIG]:
        raise no_config
    check_tokenizer_config(content[TOKENIZER_CONFIG], model)
    weights = _read_headers(weight_files(folder, model), model)
    check_config(content[CONFIG], model, weights.tensors)
    return weights


def weight_files(folder: Path, model: str) -> list[Path]:
    """In the order of transformers: one file, else those of the index. Raises InputError where they are missing."""
    names = [WEIGHTS] if (folder / WEIGHTS).is_file() else _indexed(folder, model)
    files = [folder / name for name in names]
    if absent := [file.name for file in files if not file.is_file()]:
        raise InputError(
            f"model: {model}: {len(absent)} of the {len(files)} files that {INDEX} names are not there, such as"
            f" {absent[0]}: half a download? Get it again",
            field="model",
        )
    if not files:
        raise InputError(f"model: {model}: has no safetensors weights, {_describe_others(folder)}", field="model")
    return files


def _describe_others(folder: Path) -> str:
    other = next((path for pattern in OTHER_WEIGHTS for path in folder.rglob(pattern)), None)
    if other is None or any(folder.glob("pytorch_model*.bin")):
        return "and pickled ones are never read; convert the model by save_pretrained"
    return f"and {other.relative_to(folder)} is {_describe_file(other)}"


def _describe_file(path: Path) -> str:
    return next(what for pattern, what in OTHER_WEIGHTS.items() if path.match(pattern))


def _describe_inside(folder: Path) -> str:
    """Where the model may be instead."""
    if inside := sorted(folder.glob(f"*/{CONFIG}")):
        return f", and {inside[-1].parent.name} in it has one"
    gguf = next(folder.glob("*.gguf"), None)
    return f", and {gguf.name} is {_describe_file(gguf)}" if gguf else ""


def loaded_files(folder: Path, model: str) -> dict[str, str]:
    """The sha256 of each file that is loaded, by its path in the folder."""
    found = {path for pattern in [*LOADED, "*.jinja"] for path in folder.rglob(pattern) if path.is_file()}
    names = {path.relative_to(folder) for path in [*found, *weight_files(folder, model)]}
    return {name.as_posix(): sha256_of(folder / name) for name in sorted(names)}


def read_json(path: Path) -> dict[str, Any]:
    """Empty for no file; raises InputError for a broken one."""
    value = read_any_json(path)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object; get the model again", field="model")
    return value


def read_any_json(path: Path) -> Any:
    """None for no file; raises InputError for one that is broken, very large or very deep."""
    if not path.exists() or path.is_dir():
        return None
    try:
        value = json.loads(read_regular(path, _MOST_BYTES).decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); get the model again", field="model") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); get the model again", field="model") from None
    if _depth(value) > _DEEPEST:
        raise InputError(f"{path}: is nested more than {_DEEPEST} levels deep; get the model again", field="model")
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth, level = depth + 1, [child for each in level for child in _children(each)]
    return depth


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _require_regular_files(folder: Path, model: str) -> None:
    """Links to files are fine: the hub's cache is made of them."""
    for path in _present(folder):
        problem = _problem(path)
        if problem:
            raise InputError(f"model: {model}: {path.name} {problem}; give a folder of plain files", field="model")


def _problem(path: Path) -> str:
    try:
        require_regular(path, path.stat())
    except FileNotFoundError:  # a link to nothing
        return ""
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if _is_pointer(path):
        return "is a pointer of git-lfs, not the file itself; run git lfs pull"
    if path.name == "tokenizer.json" and path.stat().st_size > _MOST_TOKENIZER_BYTES:
        return f"has more than {_MOST_TOKENIZER_BYTES:,} bytes"
    return "is of a distributed checkpoint" if _DISTRIBUTED.fullmatch(path.name) else ""


def _is_pointer(path: Path) -> bool:
    if not any(path.match(pattern) for pattern in LOADED):
        return False
    with path.open("rb") as stream:
        return stream.read(len(_LFS)) == _LFS


def _present(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.iterdir() if not path.is_dir())
    yield from (path for pattern in LOADED for path in folder.rglob(pattern) if not path.is_dir())


def _indexed(folder: Path, model: str) -> list[str]:
    names = read_json(folder / INDEX).get("weight_map", {})
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise InputError(f"model: {model}: weight_map of {INDEX} is no table of file names", field="model")
    found = sorted(set(names.values()))
    return found if all(Path(name).name == name and name.endswith(".safetensors") for name in found) else []


def _read_headers(files: list[Path], model: str) -> Weights:
    shapes = [shape for file in files for shape in _shapes(file, model)]
    return Weights(len(shapes), sum(prod(shape) for shape in shapes))


def _shapes(file: Path, model: str) -> list[list[int]]:
    """safetensors checks that offsets lie inside the file, one after the other."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    if length > _MOST_HEADER_BYTES:
        raise InputError(
            f"model: {model}: {file.name} cannot be loaded: its header has {length:,} bytes, more than"
            f" {_MOST_HEADER_BYTES:,}; get it again",
            field="model",
        )
    with refusing(model, f"{file.name} cannot be loaded"), safe_open(file, "numpy") as weights:
        return [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118 - no mapping
