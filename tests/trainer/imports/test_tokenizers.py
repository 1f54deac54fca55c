"""Tokenizers as people save them: what transformers' pipeline makes of each, an import does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from serving.errors import InputError
from tests.tiny import toy_rows, write_csv
from tests.trained_elsewhere import make_checkpoint
from tests.trainer.imports.test_families import answers_of
from trainer.imports.importer import import_checkpoint
from trainer.run.run import Run

TEXTS = ["Cancel Order 17", "track <url> for me", *(text for text, _ in toy_rows()[::9])]
CHANGES: dict[str, dict[str, Any]] = {
    "on the left, without a limit": {"padding_side": "left", "truncation_side": "left", "model_max_length": 10**30},
    "no padding token": {"pad_token": None},
    "a case of its own": {"do_lower_case": False},
}


def configure(folder: Path, **values: Any) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def keep_vocabulary(folder: Path) -> None:
    """As a tokenizer without a fast version is saved."""
    ids = AutoTokenizer.from_pretrained(folder).get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(ids, key=lambda token: ids[token])))
    (folder / "tokenizer.json").unlink()


def add_tokens(folder: Path, *, embedded: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<url>"])
    tokenizer.save_pretrained(folder)
    if embedded:
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        model.resize_token_embeddings(len(tokenizer))
        model.save_pretrained(folder)


def imported(folder: Path, texts: list[str]) -> Run:
    rows = write_csv(folder.parent / "rows.csv", [(text,) for text in texts], ("text",))
    mapping = {"model": str(folder), "data": {"train": str(rows)}}
    return import_checkpoint(mapping, folder.parent / "run", console=Console(file=io.StringIO()))


@pytest.fixture
def model(tiny_backbone: Path, tmp_path: Path) -> Path:
    return make_checkpoint(tiny_backbone, tmp_path / "model", "sequence")


@pytest.mark.parametrize(
    "change",
    [
        *(pytest.param(lambda folder, said=said: configure(folder, **said), id=name) for name, said in CHANGES.items()),
        pytest.param(keep_vocabulary, id="a vocabulary alone"),
        pytest.param(lambda folder: add_tokens(folder, embedded=True), id="added tokens"),
    ],
)
def test_texts_have_the_pipelines_answers(model: Path, change: Callable[[Path], None]) -> None:
    """Padded in one batch, what the pipeline answers to each alone."""
    change(model)
    expected = pipeline("text-classification", str(model), device="cpu", batch_size=1)(TEXTS, top_k=None)
    for ours, theirs in zip(answers_of(imported(model, TEXTS), TEXTS), expected, strict=True):
        assert [each["label"] for each in ours] == [each["label"] for each in theirs]
        assert [each["score"] for each in ours] == pytest.approx([each["score"] for each in theirs], abs=1e-4)


def test_files_that_disagree_about_case_are_told(model: Path) -> None:
    """With what is done."""
    configure(model, do_lower_case=False)
    told = "do_lower_case of tokenizer_config.json is false, and tokenizer.json lower-cases; texts keep their capitals"
    assert told in "\n".join(imported(model, TEXTS).read_record()["warnings"])


def test_an_added_token_without_an_embedding_is_told(model: Path) -> None:
    """A row that has it is named, and none is lost."""
    add_tokens(model, embedded=False)
    with pytest.raises(InputError, match=r"rows\.csv .*, row 2: inputs has the token '<url>', for which the model has"):
        imported(model, TEXTS)
    assert not (model.parent / "run").exists()
    told = "the model has no embedding for 1 tokens of its tokenizer, and refuses texts with them: '<url>'"
    assert told in imported(model, [text for text in TEXTS if "<url>" not in text]).read_record()["warnings"]
