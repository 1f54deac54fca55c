"""Stored windows: all that engine and decoding read of an encoding, in less memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from export.proof.answers.stored_window import StoredWindow, store_windows
from serving.inference.predictor import Predictor
from serving.tasks.question_answering import QuestionAnswering, QuestionAnsweringSettings
from tests.serving.tasks.hand_made import LIMITS, encode, tokenizer_of
from tests.toys import TOYS

TOKENS = ("ids", "type_ids", "attention_mask")
PLACES = ("offsets", "word_ids", "sequence_ids", "special_tokens_mask")


@pytest.mark.parametrize("toy", TOYS)
def test_a_stored_window_reads_as_the_encoding(task_bundle: Callable[[str], Path], toy: str) -> None:
    """Every field is equal, and so are results and answers."""
    predictor = Predictor.open(task_bundle(toy))
    task, inputs = predictor.task, [row.inputs for row in predictor.bundle.golden]
    encoded = predictor.encode([predictor.check(each) for each in inputs])
    stored = [store_windows(task, each) for each in encoded]
    for before, after in zip(encoded, stored, strict=True):
        assert (before.item, before.truncated) == (after.item, after.truncated)
        for encoding, window in zip(before.windows, after.windows, strict=True):
            for name in (*TOKENS, *(PLACES if task.needs_offsets else ())):
                assert getattr(window, name) == getattr(encoding, name), name
    answers = [task.decode(each, predictor.run(each.windows)) for each in stored]
    assert answers == [task.decode(each, predictor.run(each.windows)) for each in encoded]


@pytest.mark.parametrize("toy", ["text-classification", "question-answering"])
def test_another_token_or_place_is_another_window(task_bundle: Callable[[str], Path], toy: str) -> None:
    """Equal texts give equal windows; each field that differs tells them apart."""
    predictor = Predictor.open(task_bundle(toy))
    item = predictor.check(predictor.bundle.golden[0].inputs)
    (first, again) = (store_windows(predictor.task, each) for each in predictor.encode([item, item]))
    assert first == again
    window = first.windows[0]
    fields = {name: getattr(window, name) for name in StoredWindow.__slots__}
    for name in [name for name, stored in fields.items() if stored]:
        assert StoredWindow(**(fields | {name: b"\x07" * 8})) != window


@pytest.mark.parametrize("kind", ["mBERT", "RoBERTa"])
def test_every_column_is_kept(kind: str) -> None:
    """Of a pair in windows with special tokens, and of no text at all: words and sequences that are none stay none."""
    task = QuestionAnswering([], QuestionAnsweringSettings(stride=2), LIMITS)
    for context in ("London is not in Cairo, as far as we know", ""):
        encoded = encode(tokenizer_of(kind, task, 16), task, ("where is it?", context))
        stored = store_windows(task, encoded)
        assert (stored.item, stored.truncated) == (encoded.item, encoded.truncated)
        for encoding, window in zip(encoded.windows, stored.windows, strict=True):
            for name in (*TOKENS, *PLACES):
                assert getattr(window, name) == getattr(encoding, name), name
        assert store_windows(task, stored) is stored
