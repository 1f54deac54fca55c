"""Both sides read the same tokens of long pairs, each cut by its own code, and callers are told of the cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from export.proof.answers.reference import ReferenceModel, compute_reference_answers, load_reference
from export.proof.prove import prove
from export.variants.registry import FP32
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from serving.inference.predictor import Predictor
from serving.tasks.base import Side
from serving.tasks.inputs import PairTask
from serving.tasks.text_classification import TextClassificationParameters as Parameters
from trainer.recipe.recipe import load_recipe
from trainer.run.run import Run
from trainer.tasks import create_training_task

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


def served_gates(
    task_run: Callable[[str], Run], task_bundle: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The gates that fail for text pairs."""
    monkeypatch.setattr("export.proof.answers.hard_strings.STRINGS", 300)
    run = task_run("text pairs")
    training_task = create_training_task(load_recipe(run.recipe))
    reference = load_reference(run.checkpoint, generates=False)
    answers = compute_reference_answers(reference, training_task, run.read_evaluation())
    parity = prove(answers, Predictor(Bundle.open(task_bundle("text pairs"))), FP32)
    return [gate.name for gate in parity.gates if gate.failed]


@pytest.mark.slow
def test_a_shared_clip_is_found(
    task_run: Callable[[str], Run], task_bundle: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference reads the texts as they were sent, not what the task makes of them."""
    monkeypatch.setattr(PairTask, "segments", lambda task, item: (item[0][:20], item[1][:20]))
    assert "inputs whose token ids differ" in served_gates(task_run, task_bundle, monkeypatch)


@pytest.mark.slow
def test_a_wrong_end_is_found(
    task_run: Callable[[str], Run], task_bundle: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cuts the end, whatever the request says."""
    monkeypatch.setattr(Predictor, "_truncation_side", lambda *_: "right")
    assert served_gates(task_run, task_bundle, monkeypatch) == [
        "inputs whose token ids differ where the other end is cut off"
    ]
