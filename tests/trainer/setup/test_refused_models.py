"""A base model that cannot be used is refused before training: one line says what was found; nothing is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from serving.errors import InputError
from tests import zoo
from tests.sharing import made_once
from tests.toys import write_toy
from trainer.recipe.recipe import load_recipe
from trainer.train import train

CLASSIFY, GENERATE = "text-classification", "text-generation"


class Case(NamedTuple):
    """A family, a task, what is done to the folder, what the message has, sections of the recipe."""

    family: str
    toy: str
    spoil: Callable[[Path], object]
    message: str
    sections: dict[str, Any] = {}  # noqa: RUF012


def config(**values: Any) -> Callable[[Path], object]:
    return lambda folder: change(folder / "config.json", **values)


def tokenizer(**values: Any) -> Callable[[Path], object]:
    return lambda folder: change(folder / "tokenizer_config.json", **values)


def generation(**values: Any) -> Callable[[Path], object]:
    return lambda folder: (folder / "generation_config.json").write_text(json.dumps(values))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def slow_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    change(folder / "tokenizer_config.json", tokenizer_class="CanineTokenizer")


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def nothing(folder: Path) -> None:
    return


QUANTIZED = {"quant_method": "bitsandbytes", "load_in_4bit": True}
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
CASES = {
    "an encoder that should generate": Case("BERT", GENERATE, nothing, "is of kind 'encoder'"),
    "an encoder that should rewrite": Case("BERT", "text2text-generation", nothing, "needs 'encoder-decoder', such as"),
    "a translator that should classify": Case("Marian", CLASSIFY, nothing, "model_type 'marian' only generates"),
    "the first token of a causal model": Case(
        "GPT-2", CLASSIFY, nothing, "model_head.pooling: cls: the first token", {"model_head": {"pooling": "cls"}}
    ),
    "more layers than the model has": Case(
        "BERT", CLASSIFY, nothing, "3 of the 2 layers of .* give at most 2", {"model_head": {"layers": 3}}
    ),
    "more layers than the decoder has": Case(
        "BART", CLASSIFY, nothing, "9 of the 2 layers of .* give at most 2", {"model_head": {"layers": 9}}
    ),
    "a layer behind the vectors": Case(
        "BERT", CLASSIFY,
        lambda folder: (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]'),
        r"files ask for a Dense module \(no model.safetensors.*, which Tuneship does not do .*; give model_head",
    ),
    "a prompt that takes all positions": Case(
        "GPT-2", GENERATE, nothing, "a prompt of 128 tokens takes all 128 positions .* give fewer, such as 120",
        {"data": {"max_length": 128}},
    ),
    "more tokens than positions": Case(
        "GPT-2", CLASSIFY, tokenizer(model_max_length=None), "129 is more than .* takes; give at most 128",
        {"data": {"max_length": 129}},
    ),
    "more tokens than long positions keep still for": Case(
        "Llama", CLASSIFY,
        config(rope_parameters={**LONGROPE, "original_max_position_embeddings": 64}),
        "data.max_length: 65 is more than .* takes; give at most 64",
        {"data": {"max_length": 65}},
    ),
    "a tokenizer without a fast version": Case("BERT", CLASSIFY, slow_tokenizer, "no fast version"),
    "a tokenizer that is no JSON": Case(
        "BERT", CLASSIFY, lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer cannot be read"
    ),
    "nothing to pad with": Case(
        "BERT", CLASSIFY, tokenizer(**dict.fromkeys(("pad_token", "eos_token", "sep_token"))), "no padding token"
    ),
    "weights of another width": Case("BERT", CLASSIFY, config(hidden_size=64), "in another shape than its config.json"),
    "fewer tokens than the vocabulary": Case("BERT", CLASSIFY, config(vocab_size=5), "1 weights .*word_embeddings"),
    "layers without weights": Case("BERT", CLASSIFY, config(num_hidden_layers=3), r"16 weights .*layer\.2"),
    "weights of another family": Case("BERT", CLASSIFY, config(model_type="gpt2"), "belongs to another architecture"),
    "weights that were cut off": Case("BERT", CLASSIFY, cut, "cannot be loaded .SafetensorError.*get it again"),
    "heads that do not divide": Case("BERT", CLASSIFY, config(num_attention_heads=5), "cannot be loaded .ValueError"),
    "an unknown activation": Case("BERT", CLASSIFY, config(hidden_act="wow"), "cannot be loaded .KeyError: 'wow'"),
    "unknown positions": Case(
        "Llama", CLASSIFY, config(rope_parameters={"rope_type": "new"}), "cannot be loaded .KeyError: 'new'"
    ),
    "quantized weights": Case("BERT", CLASSIFY, config(quantization_config=QUANTIZED), "quantization_config: "),
    "ends that are words": Case(
        "GPT-2", GENERATE, generation(eos_token_id="x"), "its generation_config has values .*eos_token_ids"
    ),
    "more layers than weights": Case("BERT", CLASSIFY, config(num_hidden_layers=10**6), "num_hidden_layers: 1000000"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Before a run's folder exists."""
    case = CASES[name]
    make = (zoo.FAMILIES | zoo.GENERATORS)[case.family]
    made = made_once(tmp_path_factory, f"zoo-{case.family}", lambda folder: make(folder / "model"))
    shutil.copytree(made / "model", tmp_path / "model")
    case.spoil(tmp_path / "model")
    recipe = load_recipe(write_toy(tmp_path, tmp_path / "model", case.toy, **case.sections))

    with pytest.raises(InputError, match=case.message) as caught:
        train(recipe, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
