"""Marks before capitalised words: made by tokenizer.json alone, offsets untouched."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from serving.errors import InputError
from tests import zoo
from trainer.model.case_markers import with_case_markers
from trainer.model.checkpoint import load_tokenizer

BASE = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default base model's tokenizer with marks, saved as a checkpoint saves it, beside a config.json."""
    from trainer.model.base_model import find_base_model

    folder, base = tmp_path_factory.mktemp("marked"), find_base_model(BASE).folder
    with_case_markers(load_tokenizer(base, 64)).save_pretrained(folder)
    (folder / "config.json").write_bytes((base / "config.json").read_bytes())
    return folder


def test_capitalised_words_are_marked_and_offsets_are_the_texts(saved: Path) -> None:
    """One mark for a capital, another for capitals; none inside a word; every token covers its own characters."""
    text = "The BBC's iPhone in Élan"
    encoding = load_tokenizer(saved)(text, add_special_tokens=False).encodings[0]
    assert encoding.tokens == ["↑", "the", "↓", "bbc", "'", "s", "iphone", "in", "↑", "el", "##an"]
    assert [text[start:end] for start, end in encoding.offsets] == [
        "T", "The", "B", "BBC", "'", "s", "iPhone", "in", "É", "Él", "an",
    ]  # fmt: skip


def test_the_tokenizer_file_alone_makes_the_same_tokens(saved: Path) -> None:
    """The server reads tokenizer.json and nothing else."""
    alone, loaded = Tokenizer.from_file(str(saved / "tokenizer.json")), load_tokenizer(saved)
    for text in ("New York", "lower", "ÄÖ Über 中文 A", "👨‍👩‍👧 Ada"):
        assert alone.encode(text).ids == loaded(text)["input_ids"]


def test_a_vocabulary_without_the_marks_is_refused(tmp_path: Path) -> None:
    """The message names the missing token and what to do."""
    folder = zoo.FAMILIES["RoBERTa"](tmp_path / "roberta")
    with pytest.raises(InputError, match="has no token '↑'; leave it out"):
        with_case_markers(load_tokenizer(folder))
