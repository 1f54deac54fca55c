"""Rows from disk instead of memory: the same splits, batches, weights and report, in few bytes a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from serving.errors import InputError
from tests.tiny_generators import make_gpt2, make_t5
from tests.toys import GENERATING_TOYS, write_toy
from tests.trainer.conftest import StopAt, Stopped, fit, weights
from trainer.data.rows import hash_rows
from trainer.data.streamed import streamed_rows
from trainer.data.streamed.streamed_rows import StreamedRows
from trainer.fit.batches import LengthBucketSampler
from trainer.fit.streamed_examples import StreamedExamples
from trainer.fit.validation import encode_datasets
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.setup.training_setup import TrainingSetup, prepare_setup

STREAMED = ["text-classification", "text pairs", "multi-label-classification", "regression", "feature-extraction"]


@pytest.fixture
def both(tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives the setups of a toy in memory and streamed, with views of rows wherever there is more than one."""
    monkeypatch.setattr(streamed_rows, "AT_ONCE", 7)

    def make(toy: str, **training: Any) -> tuple[TrainingSetup, TrainingSetup]:
        makers = {"text-generation": make_gpt2, "text2text-generation": make_t5}
        backbone = makers[toy](tmp_path / "backbone") if toy in makers else tiny_backbone
        path = write_toy(tmp_path, backbone, toy, training=training)
        setups = (prepare_setup(load_recipe(path, [f"data.streaming={on}"]), tmp_path) for on in ("false", "true"))
        return tuple(setups)  # type: ignore[return-value]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("toy", [*STREAMED, "two labels", "scored pairs", *GENERATING_TOYS])
def test_equal_rows_and_batches(both: Any, tmp_path: Path, toy: str) -> None:
    """Splits, labels, warnings, hashes, examples and their order are those of rows in memory."""
    memory, streamed = both(toy)
    assert isinstance(streamed.splits.train, StreamedRows)
    records = [setup.to_record(tmp_path) for setup in (memory, streamed)]
    assert records[0]["data"] == records[1]["data"]
    assert memory.splits.labels == streamed.splits.labels
    for (_, rows), (_, others) in zip(memory.splits.by_name(), streamed.splits.by_name(), strict=True):
        assert list(rows.pairs()) == [tuple(pair) for pair in others.pairs()]
        assert list(rows.places()) == list(others.places())
        assert hash_rows(rows) == hash_rows(others)
    both_datasets = [
        encode_datasets(setup, setup.to_record(tmp_path), Console(quiet=True)) for setup in (memory, streamed)
    ]
    (ours, warnings), (theirs, other_warnings) = both_datasets
    assert warnings == other_warnings
    assert isinstance(theirs.train, StreamedExamples)
    orders = [list(LengthBucketSampler(each.train.lengths(), 2, 5)) for each in (ours, theirs)]
    assert orders[0] == orders[1]
    for at in orders[0][:20]:
        assert [w.ids for w in ours.train[at].windows] == [w.ids for w in theirs.train[at].windows]
        assert ours.train[at].label == pytest.approx(theirs.train[at].label)


def run_of(folder: Path, path: Path, streaming: bool, *callbacks: Any, output: str = "") -> Run:
    """A run of a recipe that reads its rows from disk, or from memory."""
    recipe = load_recipe(path, [f"data.streaming={json.dumps(streaming)}"])
    return fit(recipe, folder / (output or f"run-{streaming}"), *callbacks)


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["text-classification", "multi-label-classification", "text-generation"])
def test_equal_weights(tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy: str) -> None:
    """A streamed run's weights are those of one in memory, byte for byte, and so is its report; also where resumed."""
    monkeypatch.setattr(streamed_rows, "AT_ONCE", 7)
    backbone = make_gpt2(tmp_path / "backbone") if toy == "text-generation" else tiny_backbone
    path = write_toy(tmp_path, backbone, toy, training={"num_train_epochs": 2})
    memory, streamed = run_of(tmp_path, path, False), run_of(tmp_path, path, True)
    assert weights(streamed) == weights(memory)
    assert streamed.evaluation.read_bytes() == memory.evaluation.read_bytes()
    ours, theirs = (run.read_record() for run in (memory, streamed))
    for key in ("metrics", "errors", "slices", "settings", "leaks", "data", "history"):
        assert ours.get(key) == theirs.get(key), key
    with pytest.raises(Stopped):
        run_of(tmp_path, path, True, StopAt(9), output="stopped")
    assert weights(run_of(tmp_path, path, True, output="stopped")) == weights(memory)


@pytest.mark.parametrize(
    ("toy", "options", "problem"),
    [
        ("token-classification", [], "data.streaming: belongs to task"),
        ("question-answering", [], "data.streaming: belongs to task"),
        ("text-classification", ["data.folds=3"], "data.streaming: belongs to data.folds"),
        ("text-classification", ["data.train=rows.tsv"], r"rows.tsv: cannot be streamed; data.streaming reads .jsonl"),
    ],
)
def test_what_cannot_be_streamed(
    tiny_backbone: Path, tmp_path: Path, toy: str, options: list[str], problem: str
) -> None:
    """It is refused, with what can be."""
    path = write_toy(tmp_path, tiny_backbone, toy)
    (tmp_path / "rows.tsv").write_text("text\tlabel\na\tb\n")
    with pytest.raises(InputError, match=problem):
        prepare_setup(load_recipe(path, ["data.streaming=true", *options]), tmp_path)
