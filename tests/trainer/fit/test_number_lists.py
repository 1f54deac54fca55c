"""Examples as flat arrays: what went in comes out, in few bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_generators import make_gpt2, make_t5
from tests.toys import GENERATING_TOYS, TOYS, write_toy
from tests.trainer.conftest import rows_of
from tests.trainer.fit.small_trainer import learned
from trainer.fit.batches import Examples
from trainer.fit.encoding import encode_blocks
from trainer.fit.number_lists import INTEGER, SMALL, Labels, NumberLists
from trainer.model.checkpoint import load_tokenizer
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import prepare_setup

BYTES_A_TOKEN = 4


def test_lists() -> None:
    """Lists of any lengths come back as they were, an empty one too."""
    lists = NumberLists(SMALL)
    for each in ([1, 65535], [], [7]):
        lists.append(each)
    assert [lists[at] for at in range(len(lists))] == [[1, 65535], [], [7]]
    assert [lists.length(at) for at in range(len(lists))] == [2, 0, 1]


def test_a_number_that_is_too_large() -> None:
    """It is refused, and never wrapped around."""
    with pytest.raises(OverflowError):
        NumberLists(SMALL).append([65536])
    with pytest.raises(TypeError):
        NumberLists(INTEGER).append([0.5])


@pytest.mark.parametrize("given", [[3, 0], [0.1, -2.0], [[1, -100], [5]], [[0.0, 1.0], [1.0, 0.5]]])
def test_labels(given: list[object]) -> None:
    """Class numbers, numbers, a label a token and a number a label."""
    labels = Labels()
    for each in given:
        labels.append(each)
    assert [labels[at] for at in range(len(labels))] == given


@pytest.mark.parametrize("toy", [*TOYS, *GENERATING_TOYS])
def test_examples_of_every_task(tiny_backbone: Path, tmp_path: Path, toy: str) -> None:
    """Tokens, segments, masks and labels are those of the encodings."""
    makers = {"text-generation": make_gpt2, "text2text-generation": make_t5}
    backbone = makers[toy](tmp_path / "backbone") if toy in makers else tiny_backbone
    setup = prepare_setup(load_recipe(write_toy(tmp_path, backbone, toy)), tmp_path)
    parts = setup.training_task, setup.task, setup.tokenizer, setup.splits.validation
    expected = [
        example
        for block in encode_blocks(*parts)
        for row in zip(block.by_row(), block.rows.targets, strict=True)
        for example in setup.training_task.examples(setup.task, *row)
    ]
    found = Examples(*parts)
    assert len(found) == len(expected)
    for ours, theirs in zip(iter(found), expected, strict=True):
        assert ours.label == pytest.approx(theirs.label, rel=1e-7)
        for window, encoding in zip(ours.windows, theirs.windows, strict=True):
            assert window.ids == encoding.ids
            assert window.type_ids == encoding.type_ids
            assert window.attention_mask == encoding.attention_mask


def test_bytes_a_token(tiny_backbone: Path) -> None:
    """Texts of 60 tokens take at most four bytes a token, with everything that belongs to a row."""
    task, served = learned()
    rows = rows_of(*((f"{at} " + "refund my order please " * 15, "abc"[at % 3]) for at in range(300)))
    examples = Examples(task, served, load_tokenizer(tiny_backbone, 64), rows)
    assert examples.nbytes / sum(examples.lengths()) < BYTES_A_TOKEN
