"""Both sides read the same tokens of long pairs, each cut by its own code, and callers are told of the cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from export.proof.reference import ReferenceModel, load_reference
from serving.errors import InputError
from serving.inference.predictor import Predictor
from serving.tasks.base import Side
from serving.tasks.text_classification import TextClassificationParameters as Parameters
from trainer.run.run import Run

SPACES = "A dog is running" + " " * 4000 + "on the beach"
LONG = "where is my parcel? " * 1000
PAIRS = (("a dog", SPACES), (SPACES, SPACES), (LONG, "stop"), (LONG, LONG), (LONG + "stop", SPACES + LONG))


@pytest.fixture(scope="module")
def predictor(task_bundle: Callable[[str], Path]) -> Predictor:
    return Predictor.open(task_bundle("text pairs"))


@pytest.fixture(scope="module")
def reference(task_run: Callable[[str], Run]) -> ReferenceModel:
    return load_reference(task_run("text pairs").checkpoint, generates=False)


@pytest.mark.parametrize("side", ["right", "left"])
def test_both_sides_cut_alike(predictor: Predictor, reference: ReferenceModel, side: Side) -> None:
    """transformers' own call on the raw texts and serving's cut have the same tokens, and tell of the same cuts."""
    served = predictor.encode(PAIRS, Parameters(truncation_direction=side))
    expected = reference.encode(PAIRS, side)
    assert [each.windows[0].ids for each in served] == [each.windows[0].ids for each in expected]
    assert [each.windows[0].type_ids for each in served] == [each.windows[0].type_ids for each in expected]
    assert [each.truncated for each in served] == [each.truncated for each in expected] == [False, False, *[True] * 3]


def test_what_is_cut_is_counted(predictor: Predictor) -> None:
    """With truncate: false a pair is refused with the number of its tokens; spaces are no tokens."""
    predictor.predict([{"text": SPACES, "text_pair": "a dog"}], Parameters(truncate=False))
    with pytest.raises(InputError, match=r"^inputs has 10003 tokens and 64 of them are read"):
        predictor.predict([{"text": LONG, "text_pair": LONG}], Parameters(truncate=False))
