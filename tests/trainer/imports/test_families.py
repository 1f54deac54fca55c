"""Heads of transformers that look for padding or an end token in the text become heads that do not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import pipeline

from tests.tiny import toy_rows, write_csv
from tests.toys import TOYS
from tests.trained_elsewhere import TAGS, make_checkpoint
from tests.zoo import FAMILIES
from trainer.imports.importer import import_checkpoint
from trainer.model.checkpoint import load_checkpoint
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode
from trainer.run.run import Run

TEXTS = [text for text, _ in toy_rows()[::5]]


def imported(model: Path, rows: Path, folder: Path) -> Run:
    mapping = {"model": str(model), "data": {"train": str(rows)}}
    return import_checkpoint(mapping, folder / "run", console=Console(file=io.StringIO()))


def answers_of(run: Run, texts: list[str], parameters: Any = None) -> list[Any]:
    """By the saved checkpoint, padded in one batch."""
    saved = load_checkpoint(run.checkpoint)
    encoded = encode(saved.tokenizer, saved.task, texts)
    logits = rows_logits(saved.model, saved.tokenizer, encoded, len(texts))
    return [saved.task.decode(*pair, parameters) for pair in zip(encoded, logits, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "head"),
    [
        ("GPT-2", "last → classifier of 3"),
        ("Qwen2", "last → classifier of 3"),
        ("BART", "last → dense 32 (tanh) → classifier of 3"),
        ("XLNet", "last → dense 32 (tanh) → classifier of 3"),
        ("RoBERTa", "transformers' own"),
    ],
)
def test_a_classifier_answers_as_the_pipeline(family: str, head: str, tmp_path: Path) -> None:
    """In a batch of texts of any length, what transformers answers to each alone."""
    folder = make_checkpoint(FAMILIES[family](tmp_path / "backbone"), tmp_path / "model", "sequence")
    run = imported(folder, write_csv(tmp_path / "rows.csv", [(text,) for text in TEXTS], ("text",)), tmp_path)
    assert run.read_record()["imported"]["head"] == head
    expected = pipeline("text-classification", str(folder), device="cpu", batch_size=1)(TEXTS, top_k=None)
    for ours, theirs in zip(answers_of(run, TEXTS), expected, strict=True):
        assert {each["label"]: each["score"] for each in ours} == pytest.approx(
            {each["label"]: each["score"] for each in theirs}, abs=1e-4
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "tags"), [("BERT", TAGS), ("BERT", ("NOUN", "VERB", "O")), ("Llama", TAGS), ("T5", TAGS)]
)
def test_a_tagger_answers_as_the_pipeline(family: str, tags: Any, tmp_path: Path) -> None:
    """Each piece has the pipeline's tag and score, of any scheme; a word's pieces have those of its first."""
    folder = make_checkpoint(FAMILIES[family](tmp_path / "backbone"), tmp_path / "model", "token", tags)
    run = imported(folder, write_csv(tmp_path / "rows.csv", [(text,) for text in TEXTS], ("text",)), tmp_path)
    parameters = load_checkpoint(run.checkpoint).task.parameters_type
    for strategy in ("none", *(["first"] if family == "BERT" else [])):
        tagger = pipeline("token-classification", str(folder), device="cpu", aggregation_strategy=strategy)
        name = "entity" if strategy == "none" else "entity_group"
        ours = answers_of(run, TEXTS, parameters(aggregation_strategy=strategy))
        for text, answer in zip(TEXTS, ours, strict=True):
            theirs = [each for each in tagger(text) if text[each["start"] : each["end"]].strip()]
            assert [each[name] for each in answer] == [each[name] for each in theirs]
            assert [each["score"] for each in answer] == pytest.approx([each["score"] for each in theirs], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["DistilBERT", "BART"])
def test_a_reader_has_the_models_own_logits(family: str, tmp_path: Path) -> None:
    """transformers 5 has no pipeline for it: the import compares start and end with the model's own, row by row."""
    folder = make_checkpoint(FAMILIES[family](tmp_path / "backbone"), tmp_path / "model", "span")
    rows = tmp_path / TOYS["question-answering"][1](tmp_path)["train"]
    record = imported(folder, rows, tmp_path).read_record()
    assert (record["task"], record["imported"]["labelled"]) == ("question-answering", True)
