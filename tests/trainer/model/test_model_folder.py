"""A model's folder that strangers made: only its own plain files are read, and what is wrong is told in words."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from serving.errors import InputError
from tests import zoo
from tests.trainer.conftest import MakeRecipe
from trainer.model.base_model import BaseCheckpoint, find_base_model
from trainer.model.building import bounded
from trainer.model.checkpoint import ModelSpec, build_model, check_weights, load_checkpoint, load_tokenizer
from trainer.model.generation_config import read_generation_config, served_settings
from trainer.model.model_folder import Weights
from trainer.run.run import Run
from trainer.setup.training_setup import prepare_setup

Spoil = Callable[[Path], object]


@pytest.fixture
def copy(tiny_backbone: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base model that a test may break."""
    return Path(shutil.copytree(tiny_backbone, tmp_path / "copy"))


def put(file: str, **values: Any) -> Spoil:
    """Sets keys of a JSON file."""

    def change(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps({**(json.loads(path.read_text()) if path.is_file() else {}), **values}))

    return change


def write(file: str, text: str) -> Spoil:
    return lambda folder: (folder / file).write_text(text)


def pipe(file: str) -> Spoil:
    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        os.mkfifo(folder / file)

    return make


def link(file: str, target: str) -> Spoil:
    def make(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).symlink_to(target)

    return make


def header(text: bytes | None = None, length: int | None = None, **tensors: Any) -> Spoil:
    """Weights with this header and 64 bytes."""
    content = json.dumps(tensors).encode() if text is None else text
    size = struct.pack("<Q", len(content) if length is None else length)
    return lambda folder: (folder / "model.safetensors").write_bytes(size + content + bytes(64))


def tensor(start: int, end: int, kind: str = "F32", shape: tuple[int, ...] = (8,)) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def other_weights(name: str) -> Spoil:
    def make(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        save_file({key: value + 1 for key, value in weights.items()}, folder / name, metadata={"format": "pt"})

    return make


def both(*spoils: Spoil) -> Spoil:
    return lambda folder: [spoil(folder) for spoil in spoils]


CONFIG, TOKENIZER = "config.json", "tokenizer_config.json"
REFUSED: dict[str, tuple[Spoil, str]] = {
    # what leads to other files, to kernels or to code
    "weights of another name": (
        both(other_weights("other.safetensors"), put(CONFIG, transformers_weights="other.safetensors")),
        "transformers_weights: 'other.safetensors' cannot be used",
    ),
    "weights of a distributed checkpoint": (
        other_weights("shard-00000-model-00001-of-00001.safetensors"), "is of a distributed checkpoint",
    ),
    "an adapter": (put("adapter_config.json", base_model_name_or_path="a/b"), "it is an adapter"),
    "another configuration": (put(CONFIG, configuration_files=["config.4.0.0.json"]), "configuration_files"),
    "a kernel of the hub": (put(CONFIG, attn_implementation="owner/kernel"), "accepted are eager, sdpa"),
    "a kernel, privately": (put(CONFIG, _attn_implementation="owner/kernel"), "_attn_implementation: 'owner/kernel'"),
    "kernels by part": (put(CONFIG, attn_implementation={"": "owner/kernel"}), "accepted are eager, sdpa"),
    "a kernel of a part": (put(CONFIG, text_config={"attn_implementation": "a/b"}), "accepted are eager, sdpa"),
    "a kernel of a layer": (put(CONFIG, per_layer_config={"1": {"attn_implementation": "a/b"}}), "eager, sdpa"),
    "experts from the hub": (put(CONFIG, experts_implementation="a/b"), "accepted are eager, grouped_mm"),
    "kernels for all": (put(CONFIG, kernel_config={"x": "a/b"}), "kernel_config"),
    "a function as type": (put(CONFIG, dtype="load"), "dtype: 'load' cannot be used"),
    "quantized": (put(CONFIG, quantization_config={"quant_method": "fp8"}), "quantization_config"),
    "code": (put(CONFIG, auto_map={}), r"auto_map in config\.json"),
    "trust": (put(TOKENIZER, trust_remote_code=True), "trust_remote_code"),
    "a method's name": (put(CONFIG, to_dict=1), "to_dict: 1 cannot be used: it would replace a part"),
    "an attribute's other name": (put(CONFIG, attribute_map={"a": "b"}), "attribute_map"),
    "a model as tokenizer": (put(TOKENIZER, tokenizer_class="AutoModel"), "tokenizer_class: 'AutoModel'"),
    "a number as tokenizer": (put(CONFIG, tokenizer_class=3), "tokenizer_class: 3"),
    "another tokenizer file": (put(TOKENIZER, fast_tokenizer_files=["tokenizer.1.json"]), "fast_tokenizer_files"),
    "arguments of the tokenizer": (put(TOKENIZER, init_inputs=["/etc/passwd"]), "init_inputs"),
    # sizes
    "extra tokens without end": (put(TOKENIZER, extra_ids=2**31 - 1), "extra_ids: 2147483647 .* 100,000 is accepted"),
    "an offset without end": (put(TOKENIZER, offset=10**9), "tokenizer_config.json: offset: 10{9}"),
    "a million layers": (put(CONFIG, num_hidden_layers=10**6), "from 0 to 256 is accepted by the \\d+ tensors"),
    "no layer": (put(CONFIG, num_hidden_layers=0), "num_hidden_layers: 0 .* from 1 is accepted"),
    "layers less than none": (put(CONFIG, num_hidden_layers=-1), "num_hidden_layers: -1"),
    "half a layer": (put(CONFIG, num_hidden_layers=1.5), "num_hidden_layers: 1.5"),
    "a width in words": (put(CONFIG, hidden_size="32"), "hidden_size: '32' .* from 0 is accepted"),
    "a width that is a fraction": (put(CONFIG, hidden_size=32.0), "hidden_size: 32.0"),
    "a negative width": (put(CONFIG, hidden_size=-32), "hidden_size: -32"),
    "a vocabulary past all bounds": (put(CONFIG, vocab_size=10**12), "vocab_size: 10{12} .*at most 2,147,483,647"),
    "no number": (put(CONFIG, hidden_dropout_prob=float("nan")), "hidden_dropout_prob: nan"),
    "labels without end": (put(CONFIG, num_labels=10**9), "num_labels: 10{9} .*100,000"),
    "no position": (put(CONFIG, max_position_embeddings=0), "takes 0 tokens at most"),
    "all positions before the padding": (
        put(CONFIG, model_type="roberta", pad_token_id=10**6), "takes 0 tokens at most",
    ),
    # JSON
    "no object": (write(CONFIG, "[]"), r"config\.json: holds no JSON object"),
    "an index of numbers": (
        both(put("model.safetensors.index.json", weight_map={"a": 1}), lambda f: (f / "model.safetensors").unlink()),
        "weight_map of .* is no table",
    ),
    "an index that is a list": (
        both(put("model.safetensors.index.json", weight_map=[]), lambda f: (f / "model.safetensors").unlink()),
        "weight_map of .* is no table",
    ),
    "deep": (write("special_tokens_map.json", '{"a":' * 100 + "1" + "}" * 100), "more than 32 levels deep"),
    "very deep": (write(TOKENIZER, '{"a":' * 10**5 + "1" + "}" * 10**5), "not valid JSON"),
    "a long number": (write("generation_config.json", '{"a": ' + "1" * 10**4 + "}"), "not valid JSON"),
    "not UTF-8": (lambda folder: (folder / CONFIG).write_bytes(b'{"a": "\xff"}'), "not valid JSON"),
    "a model type that is a list": (put(CONFIG, model_type=["bert"]), "model_type: .* a text is accepted"),
    "labels that are a list": (put(CONFIG, id2label=["a"]), "describes no architecture"),
    "a layer type that is a number": (put(CONFIG, layer_types=7), "describes no architecture"),
    # files
    "a pipe": (pipe(CONFIG), r"config\.json cannot be read \(not a regular file\)"),
    "a pipe in a folder below": (pipe("1_Pooling/config.json"), "not a regular file"),
    "a pipe for weights": (pipe("model.safetensors"), "not a regular file"),
    "a pipe for the tokenizer": (pipe("tokenizer.json"), "not a regular file"),
    "zeros without end": (link(TOKENIZER, "/dev/zero"), "not a regular file"),
    "a link to itself": (link("vocab.txt", "vocab.txt"), "cannot be read"),
    # weights
    "no weights": (lambda folder: (folder / "model.safetensors").write_bytes(b""), "safetensors cannot be loaded"),
    "a header past the end": (header(b"{}", length=10**6), "model.safetensors cannot be loaded"),
    "a header past all bounds": (header(b"{}", length=2**63), "header has 9,223,372,036,854,775,808 bytes"),
    "a header that is no JSON": (header(b"{{}}"), "model.safetensors cannot be loaded"),
    "tensors that overlap": (header(a=tensor(0, 32), b=tensor(16, 48), c=tensor(48, 64)), "cannot be loaded"),
    "a tensor past the end": (header(a=tensor(0, 10**12)), "cannot be loaded"),
    "a tensor that ends before it begins": (header(a=tensor(64, 0)), "cannot be loaded"),
    "a tensor of another length": (header(a=tensor(0, 64)), "cannot be loaded"),
    "a tensor of no type": (header(a=tensor(0, 64, "X9", (16,))), "cannot be loaded"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(copy: Path, name: str) -> None:
    """One line, that names the file or field."""
    spoil, message = REFUSED[name]
    spoil(copy)
    with pytest.raises(InputError, match=message) as caught:
        find_base_model(str(copy))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


CHECKPOINTS = ("weights of another name", "a kernel, privately", "a million layers", "a pipe for the tokenizer", "deep")


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_run_of_strangers(tiny_run: Run, tmp_path: Path, name: str) -> None:
    """A run's checkpoint, which export and evaluation read, is checked as a base model is."""
    folder = Path(shutil.copytree(tiny_run.checkpoint, tmp_path / "checkpoint"))
    REFUSED[name][0](folder)
    with pytest.raises(InputError, match=REFUSED[name][1]):
        load_checkpoint(folder)


@pytest.mark.parametrize("spoil", [pipe("task.json"), pipe("head.safetensors"), write("head.safetensors", "x")])
def test_own_files_of_strangers(tiny_run: Run, tmp_path: Path, spoil: Spoil) -> None:
    """So are the files that are this project's own."""
    folder = Path(shutil.copytree(tiny_run.checkpoint, tmp_path / "checkpoint"))
    spoil(folder)
    with pytest.raises(InputError, match=r"not a regular file|head\.safetensors cannot be loaded"):
        load_checkpoint(folder)


def test_missing_weights_of_a_run(tiny_run: Run, tmp_path: Path) -> None:
    """A checkpoint that lacks weights is refused: transformers would draw them at random."""
    folder = Path(shutil.copytree(tiny_run.checkpoint, tmp_path / "checkpoint"))
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "layer.1" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"16 weights are not in its safetensors file"):
        load_checkpoint(folder)


@pytest.mark.slow
def test_unknown_counts(copy: Path) -> None:
    """A model that grows by a key that nobody checks is refused while transformers builds it."""
    put(CONFIG, model_type="albert", num_hidden_groups=200, inner_group_num=10**6)(copy)
    base = find_base_model(str(copy))
    with pytest.raises(InputError, match="asks for far more than the 39 tensors of its weights"):
        check_weights(base, ModelSpec("sequence", "mean", 2))


def test_buffers_past_memory() -> None:
    """Some families keep a mask of all positions, which no weight tells of."""
    with pytest.raises(InputError, match="asks for far more"), torch.device("meta"), bounded("it", Weights(40, 10**6)):
        torch.nn.Linear(3, 3).register_buffer("mask", torch.empty(2**16, 2**16))


@pytest.mark.parametrize("spoil", [write("tokenizer.json", "{}"), put(TOKENIZER, added_tokens_decoder={"x": 1})])
def test_tokenizers_of_strangers(copy: Path, spoil: Spoil) -> None:
    """Whatever tokenizers raises is told."""
    spoil(copy)
    with pytest.raises(InputError, match="tokenizer cannot be read"):
        load_tokenizer(copy)


@pytest.mark.parametrize("values", [{"min_length": "x"}, {"bad_words_ids": 7}, {"suppress_tokens": {"a": 1}}])
def test_generation_of_strangers(copy: Path, values: dict[str, Any]) -> None:
    """A generation_config.json of wrong types is told before training."""
    put("generation_config.json", **values)(copy)
    with pytest.raises(InputError, match="generation_config"):
        served_settings(read_generation_config(copy, "it"), "it")


def test_one_file_or_several(copy: Path) -> None:
    """Where there are both, the records name the one that transformers loads; else all of the index."""
    before = find_base_model(str(copy))
    other_weights("other.safetensors")(copy)
    names = load_file(copy / "model.safetensors")
    put("model.safetensors.index.json", metadata={}, weight_map=dict.fromkeys(names, "other.safetensors"))(copy)
    one = find_base_model(str(copy))
    first = _first_weight(one)
    (copy / "model.safetensors").unlink()
    several = find_base_model(str(copy))
    assert (one.sha256 == before.sha256, several.sha256 == before.sha256) == (True, False)
    assert several.files()["other.safetensors"] == several.sha256
    assert _first_weight(several) == pytest.approx(first + 1)


def _first_weight(base: BaseCheckpoint) -> float:
    weights = build_model(base, ModelSpec("vector", "mean", 0), []).state_dict()
    return float(next(iter(weights.values())).flatten()[0])


@pytest.mark.parametrize("family", ["BERT", "ALBERT", "XLNet"])
def test_every_file_is_recorded(toy: MakeRecipe, tmp_path: Path, family: str) -> None:
    """What Python opens in a base model's folder is in the lock, by name and hash."""
    folder = zoo.FAMILIES[family](tmp_path / "model")
    for name in ("special_tokens_map.json", "added_tokens.json"):
        (folder / name).write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    opened: set[str] = set()

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], (str, Path)) and str(args[0]).startswith(str(folder)):
            opened.add(str(args[0])[len(str(folder)) + 1 :])

    sys.addaudithook(note)
    setup = prepare_setup(toy().model_copy(update={"model": str(folder)}), tmp_path / "run")
    build_model(setup.base, setup.model_spec, setup.splits.labels)
    assert "chat_template.jinja" in opened
    assert opened <= set(setup.base.files())


def test_a_large_folder_that_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home or root folder that was given by mistake is not searched."""
    monkeypatch.setattr(Path, "rglob", lambda *_: pytest.fail("searched"))
    with pytest.raises(InputError, match=r"has no config\.json"):
        find_base_model(str(tmp_path))
