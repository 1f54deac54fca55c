"""What is told before a training that reads texts in windows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from serving.errors import InputError
from tests.toys import write_toy
from trainer.fit.validation import encode_datasets
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import TrainingSetup, prepare_setup


def setup_of(folder: Path, backbone: Path, toy: str, **data: Any) -> TrainingSetup:
    return prepare_setup(load_recipe(write_toy(folder, backbone, toy, data=data)), folder / "run")


def warnings_of(setup: TrainingSetup, folder: Path) -> list[str]:
    record = {"task": setup.recipe.task, **setup.to_record(folder)}
    return encode_datasets(setup, record, Console(file=io.StringIO()))[1]


def test_nothing_where_long_texts_are_read(tiny_backbone: Path, tmp_path: Path) -> None:
    """Texts of several windows lose nothing, in training and test rows."""
    setup = setup_of(tmp_path, tiny_backbone, "long texts")
    assert warnings_of(setup, tmp_path) == []
    assert setup.recipe.data.model_dump()["max_windows"] == 12


def test_texts_of_more_than_the_most_windows(tiny_backbone: Path, tmp_path: Path) -> None:
    """Two windows of 24 tokens that share 6 have 40 with two special ones."""
    [told] = warnings_of(setup_of(tmp_path, tiny_backbone, "long texts", max_windows=2), tmp_path)
    assert told.endswith("of the training texts are longer than data.max_windows windows (40 tokens) and are cut")


def test_windows_that_nothing_needs(tiny_backbone: Path, tmp_path: Path) -> None:
    """The option changes nothing where all texts are short."""
    [told] = warnings_of(setup_of(tmp_path, tiny_backbone, "text-classification", long_text="windows"), tmp_path)
    assert told == (
        "no training text is longer than a window (data.max_length: 64 tokens): data.long_text: windows changes"
        " nothing; leave it out"
    )


@pytest.mark.parametrize("toy", ["long texts", "token-classification"])
def test_windows_that_do_not_move_on_are_refused(tiny_backbone: Path, tmp_path: Path, toy: str) -> None:
    """The tokenizers library would end the process."""
    with pytest.raises(InputError, match="of 24 tokens, 22 of them a text's, cannot share 22; give at most 21"):
        setup_of(tmp_path, tiny_backbone, toy, max_length=24, stride=22)
