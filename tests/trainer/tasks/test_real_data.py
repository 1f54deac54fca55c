"""Alignment on real data: targets become token labels, which decode to the same places of the text.

The answers are decoded from perfect logits, so that only the alignment can lose anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import zoo
from tests.paths import SHARED_DATA
from trainer.data.rows import Rows
from trainer.fit.batches import Examples
from trainer.fit.encoding import EncodedItems
from trainer.model.checkpoint import load_tokenizer
from trainer.recipe.recipe import Recipe
from trainer.setup.splits import Splits, load_splits
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask

pytestmark = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"the public data sets are not at {SHARED_DATA}")


@cache
def load(task: str, stride: int, **data: Any) -> tuple[TrainingTask, Splits]:
    """A recipe's task and rows, which all base models share."""
    recipe = {"task": task, "data": {"stride": stride, **data}}
    training_task = create_training_task(Recipe.model_validate(recipe))
    return training_task, load_splits(training_task)


def oracle_answers(
    training_task: TrainingTask, rows: Rows, labels: list[str], backbone: Path, length: int, **settings: Any
) -> Iterator[Any]:
    """The answers decoded from logits that have each example's own label for certain."""
    task = training_task.task(labels, training_task.settings(rows, labels, length).model_copy(update=settings))
    tokenizer = load_tokenizer(backbone, length)
    certain = iter(Examples(training_task, task, tokenizer, rows))
    for encoded in EncodedItems(training_task, task, tokenizer, rows):
        logits = [certain_logits(task.logits_per_window, next(certain).label, len(w.ids)) for w in encoded.windows]
        yield task.decode(encoded, logits)


def certain_logits(width: int, label: Any, tokens: int) -> np.ndarray[Any, Any]:
    """[tokens, width]: 10 where the label is, 0 elsewhere."""
    logits = np.zeros((tokens, width), dtype=np.float32)
    if len(label) == tokens:
        for row, number in enumerate(label):
            logits[row, max(number, 0)] = 10.0
    else:
        for column, row in enumerate(label):
            logits[row, column] = 10.0
    return logits


@pytest.mark.slow
@pytest.mark.parametrize(("language", "least"), [("en", 0.98), ("de", 0.95), ("zh", 0.95)])
@pytest.mark.parametrize("family", ["mBERT", "XLM-R"])
def test_answers_of_every_language_survive_the_tokens(tmp_path: Path, family: str, language: str, least: float) -> None:
    """SQuAD's places become tokens of a window and come back as places: English, German, Chinese."""
    file = str(SHARED_DATA / "xquad" / f"{language}.json")
    training_task, splits = load("question-answering", 64, train=file, test=0.2, validation=0.1)
    test = splits.test
    answers = list(
        oracle_answers(training_task, test, [], zoo.FAMILIES[family](tmp_path / "m"), 384, max_answer_len=300)
    )
    contexts = [inputs["context"] for inputs in test.inputs]
    assert all(context[a["start"] : a["end"]] == a["answer"] for context, a in zip(contexts, answers, strict=True))
    if family == "mBERT":  # the tiny Unigram vocabulary has long unknown runs, as no real one has
        assert training_task.metrics(test, answers)["exact_match"] >= least


@pytest.mark.slow
@pytest.mark.parametrize("family", ["BERT", "RoBERTa", "DeBERTa-v3"])
def test_entities_survive_the_tokens(tmp_path: Path, family: str) -> None:
    """CoNLL's tags become tags of pieces and come back as entities of the data's own words."""
    files = {name: str(SHARED_DATA / "wnut17" / f"{name}.conll") for name in ("train", "test")}
    dev = str(SHARED_DATA / "wnut17" / "dev.conll")
    training_task, splits = load("token-classification", 16, **files, validation=dev)
    answers = list(oracle_answers(training_task, splits.test, splits.labels, zoo.FAMILIES[family](tmp_path / "m"), 64))
    texts = splits.test.inputs
    assert all(
        text[e["start"] : e["end"]] == e["word"] for text, found in zip(texts, answers, strict=True) for e in found
    )
    assert training_task.metrics(splits.test, answers)["f1"] >= 0.97
