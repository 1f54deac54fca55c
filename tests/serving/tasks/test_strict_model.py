"""Models of what callers give: their mistakes are told one at a time, for each costs time."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, ValidationError

from serving.explain.parameters import ExplainParameters
from serving.protocols import openai_embeddings as embeddings
from serving.protocols import tei
from serving.protocols.open_inference import infer as inference
from serving.protocols.open_inference.tensors import TensorHead
from serving.protocols.openai_generation import completions
from serving.tasks import TASKS, generation, token_classification
from serving.tasks.strict_model import FailFastList, StrictModel

MANY = {str(number): number for number in range(10_000)}

MODELS: list[type[StrictModel]] = [
    completions._Body, embeddings._Body, tei._Embed, tei._Predict, inference.Body, TensorHead, ExplainParameters,
    *dict.fromkeys(kind.parameters_type for kind in TASKS.values()),
]  # fmt: skip


class Thing(StrictModel):
    """A model with one key that must be there and one that may."""

    wanted: int
    words: FailFastList[str] = Field(default=[])


def errors(model: type[StrictModel], content: Any) -> list[Any]:
    """What is wrong with content."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(content)
    return caught.value.errors()


def test_unknown_keys() -> None:
    """Of many unknown keys the first is told, wherever those are that are known."""
    (error,) = errors(Thing, {**MANY, "wanted": 1})
    assert (error["loc"], error["type"]) == (("0",), "extra_forbidden")


def test_whole_numbers() -> None:
    """2.0 is 2, as JSON schema has it; 2.5, true and "2" are no integers."""
    assert Thing.model_validate({"wanted": 2.0}).wanted == 2
    for wrong in (2.5, True, "2", float("nan"), float("inf")):
        assert [error["loc"] for error in errors(Thing, {"wanted": wrong})] == [("wanted",)]


def test_missing_and_unknown() -> None:
    """A key that is missing among many unknown ones is told too."""
    assert [error["loc"] for error in errors(Thing, MANY)] == [("wanted",), ("0",)]


def test_bad_elements() -> None:
    """Of many bad elements of a list the first is told."""
    (error,) = errors(Thing, {"wanted": 1, "words": ["a", *[1] * 10_000]})
    assert error["loc"] == ("words", 1)


@pytest.mark.parametrize("model", MODELS)
def test_every_model(model: type[StrictModel]) -> None:
    """No model of a request makes an error of each key that it does not know."""
    assert len(errors(model, MANY)) <= len(model.model_fields) + 1


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (completions._Body, {"prompt": "a", "stop": [1] * 10_000}),
        (generation.GenerationParameters, {"stop": [1] * 10_000}),
        (token_classification.TokenClassificationParameters, {"ignore_labels": [1] * 10_000}),
        (ExplainParameters, {"target": MANY}),
        (TensorHead, {"name": "text", "datatype": "BYTES", "shape": ["a"] * 10_000}),
        (inference.Body, {"inputs": [1] * 10_000, "outputs": [1] * 10_000}),
        (inference.Body, {"inputs": [MANY]}),
    ],
)
def test_every_list(model: type[StrictModel], content: Any) -> None:
    """Nor of each element of a list, or key of an object within it."""
    assert len(errors(model, content)) < 10
