"""Texts of a pair that are too long keep what truncation keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from serving.bundle.manifest import Limits
from serving.tasks.text_classification import TextClassification, TextClassificationSettings
from tests.tiny import make_backbone
from trainer.model.checkpoint import load_tokenizer
from trainer.model.inputs import TokenWindow, encode, padder

TASK = TextClassification(["a", "b"], TextClassificationSettings(pair=True), Limits())
LONG, DENSE = "word " * 900, "ß" * 700


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """Reads 62 tokens of a pair, so that both texts of a long one keep 29 or 30."""
    return load_tokenizer(make_backbone(tmp_path_factory.mktemp("backbone")), 62)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    "pair", [(LONG, DENSE), (DENSE, LONG), (LONG, LONG), (LONG, "parcel " * 900), (LONG + "stop", LONG)]
)
def test_long_pairs_are_shortened_to_what_is_kept(
    tokenizer: PreTrainedTokenizerFast, pair: tuple[str, str], side: str
) -> None:
    """Whichever text is the longer one, and on either side, the tokens are those of transformers on the whole texts."""
    tokenizer.truncation_side = side
    expected = tokenizer([pair[0]], [pair[1]], truncation="longest_first", max_length=62)["input_ids"]
    (found,) = encode(tokenizer, TASK, [pair], side)
    assert [window.ids for window in found.windows] == expected


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("names", [["input_ids", "token_type_ids", "attention_mask"], ["input_ids", "attention_mask"]])
def test_padding(tmp_path: Path, side: str, names: list[str]) -> None:
    """Windows are padded as transformers' tokenizer pads them: sides, fillers, types and the inputs that it names."""
    tokenizer = load_tokenizer(make_backbone(tmp_path), 62)
    tokenizer.padding_side, tokenizer.model_input_names, tokenizer._pad_token_type_id = side, names, 3
    windows = [*tokenizer(["a", "one two three four", ""]).encodings, TokenWindow([7, 8], [0, 1]), TokenWindow([9])]
    columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    lists = {name: [list(getattr(window, columns[name])) for window in windows] for name in columns if name in names}
    expected = tokenizer.pad(lists, return_tensors="pt")
    found = padder(tokenizer)(windows)
    assert list(found) == list(expected)
    for name in found:
        assert found[name].dtype == torch.int64
        assert torch.equal(found[name], expected[name])
