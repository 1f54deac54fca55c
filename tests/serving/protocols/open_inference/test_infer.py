"""``infer``: from tensors to a task's inputs, and from answers to tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from serving.errors import InputError, InputTooLarge, MalformedInput
from serving.inference.predictor import Predictor
from serving.protocols.base import Reply
from serving.protocols.open_inference.infer import Body, model_metadata, parse, render
from tests.toys import TOYS

MANY = {str(number): number for number in range(10_000)}

GetPredictor = Callable[[str], Predictor]


def infer(predictor: Predictor, content: Any) -> Any:
    """The response's JSON to a request's."""
    request = parse(json.dumps(content).encode(), None, predictor.task, predictor.check)
    encoded = predictor.encode(request.items, request.parameters)
    results = [predictor.run(each.windows) for each in encoded]
    answers = [predictor.task.decode(*each, request.parameters) for each in zip(encoded, results, strict=True)]
    response, binary = render(
        predictor.task, request, Reply(encoded, results, answers, answers), predictor.manifest, "model"
    )
    assert not binary
    return response


def tensors(inputs: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [{"name": name, "shape": [len(v)], "datatype": "BYTES", "data": v} for name, v in inputs.items()]


def rows_of(predictor: Predictor) -> list[Any]:
    return [row.inputs for row in predictor.bundle.golden[:3]]


def as_columns(rows: list[Any]) -> dict[str, list[str]]:
    if isinstance(rows[0], str):
        return {"text": rows}
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("toy", TOYS)
def test_every_task(task_predictor: GetPredictor, toy: str) -> None:
    """Each task takes a tensor for each part of an input, and gives its answers whole and in parts."""
    predictor = task_predictor(toy)
    rows = rows_of(predictor)
    response = infer(predictor, {"id": "7", "inputs": tensors(as_columns(rows))})
    assert (response["model_name"], response["id"]) == ("model", "7")
    assert response["model_version"] == predictor.manifest.digest[:12]
    outputs = {each["name"]: each for each in response["outputs"]}
    answers = [json.loads(each) for each in outputs["output"]["data"]]
    decide = predictor.task.decision
    assert [decide(each) for each in answers] == [decide(each) for each in predictor.predict(rows)]
    told = model_metadata(predictor.task, predictor.manifest, "model")
    assert [each["name"] for each in told["outputs"]] == list(outputs)
    assert [each["name"] for each in told["inputs"]] == list(as_columns(rows))
    for name, tensor in outputs.items():
        assert tensor["shape"][0] == len(rows)
        if name != "output":
            width = tensor["shape"][1]
            first = predictor.task.row(answers[0])[name]
            assert tensor["data"][: len(first)] == pytest.approx(first)
            assert len(tensor["data"]) == len(rows) * width


def test_selected_outputs(predictor: Predictor) -> None:
    """The answer has exactly the requested outputs; the parameters are the task's."""
    content = {"inputs": tensors({"text": ["stop it"]}), "outputs": [{"name": "label"}], "parameters": {"top_k": 1}}
    (output,) = infer(predictor, content)["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("label", "BYTES", [1, 1])


def test_binary_outputs(predictor: Predictor) -> None:
    """Binary outputs follow the JSON, in order."""
    wanted = [{"name": "score", "parameters": {"binary_data": True}}, {"name": "label"}]
    content = {"inputs": tensors({"text": ["stop it"]}), "outputs": wanted}
    request = parse(json.dumps(content).encode(), None, predictor.task, predictor.check)
    encoded = predictor.encode(request.items, request.parameters)
    results = [predictor.run(each.windows) for each in encoded]
    answers = [predictor.task.decode(*each) for each in zip(encoded, results, strict=True)]
    response, binary = render(
        predictor.task, request, Reply(encoded, results, answers, answers), predictor.manifest, "m"
    )
    by_name = {each["name"]: each for each in response["outputs"]}
    assert by_name["score"]["parameters"]["binary_data_size"] == len(binary) == 4 * len(answers[0])
    assert by_name["label"]["data"] == [each["label"] for each in answers[0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r"inputs: Field required"),
        ({"inputs": []}, r"inputs: List should have at least 1 item"),
        ({"inputs": tensors({"text": ["a"]}), "extra": 1}, r"extra: Extra inputs are not permitted"),
        ({"inputs": tensors({"sentence": ["a"]})}, r"inputs are \['sentence'\]; this model takes \['text'\]"),
        ({"inputs": tensors({"text": ["a", ""]})}, r"inputs\[1\] is empty"),
        ({"inputs": tensors({"text": ["a"]}), "outputs": [{"name": "logits"}]}, r"outputs\[0\]\.name is 'logits'"),
        ({"inputs": tensors({"text": ["a"]}), "parameters": {"topk": 1}}, r"parameters\.topk: Extra inputs"),
        ({"inputs": tensors({"text": ["a"]}) * 2}, r"inputs are \['text', 'text'\]; this .* \['text'\], each once"),
        ({"inputs": tensors({"x" * 10**5: ["a"]})}, r"inputs are \['x+\.\.\.x+'\]; this model takes \['text'\]"),
        ({"inputs": tensors({str(name): ["a"] for name in range(16)})}, r"inputs are \['0', .*\.\.\.\]; this model"),
        (
            {"inputs": tensors({"text": ["a"]}), "outputs": [{"name": "label"}, {"name": "score"}, {"name": "label"}]},
            r"outputs\[2\]\.name is 'label', which is named already; name each output once",
        ),
        (
            {"inputs": tensors({"text": ["a"]}), "outputs": [{"name": "label", "parameters": {"classification": 3}}]},
            r"outputs\[0\]\.parameters: 'classification' is unknown; accepted is binary_data",
        ),
        (
            {"inputs": tensors({"text": ["a"]}), "outputs": [{"name": "label", "parameters": {"binary_data": "yes"}}]},
            r"outputs\[0\]\.parameters\.binary_data is 'yes'; true or false is accepted",
        ),
        (
            {"inputs": tensors({"text": ["a"]}), "parameters": {"binary_data_output": "yes"}},
            r"parameters\.binary_data_output is 'yes'; true or false is accepted",
        ),
        *(
            (
                {"inputs": tensors({"text": ["a"]}), "parameters": {"timeout": timeout}},
                r"parameters\.timeout is .*; a whole number of microseconds, 1000 or more, is accepted",
            )
            for timeout in (0, -1, 999, True, 1.5, "1000", 10**4000, None)
        ),
        *(
            ({"inputs": tensors({"text": ["a"]}), "parameters": {name: 1}}, rf"parameters\.{name}: Extra inputs")
            for name in ("priority", "sequence_id", "sequence_start", "sequence_end")
        ),
    ],
)  # fmt: skip
def test_refused(predictor: Predictor, content: Any, message: str) -> None:
    """The error of a missing, unknown, repeated or malformed part names it and what is accepted, and is short."""
    with pytest.raises(InputError, match=message) as caught:
        infer(predictor, content)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "content",
    [
        {"inputs": [1] * 10_000},
        {"inputs": tensors({str(name): ["a"] for name in range(17)})},
        {"inputs": tensors({"text": ["a"]}), "outputs": [{"name": "label"}] * 17},
        {"inputs": tensors({"text": ["a"]}), "outputs": [1] * 10_000},
        {"inputs": [{"name": "text", "shape": [""] * 8, "datatype": "BYTES"}]},
        {"inputs": tensors({"text": ["a"]}), **MANY},
        {"inputs": [{**tensors({"text": ["a"]})[0], **MANY}]},
        {"inputs": tensors({"text": ["a"]}), "outputs": [{"name": "label", **MANY}]},
    ],
)
def test_many_mistakes(content: Any) -> None:
    """Validation stops at the first wrong element or unknown key."""
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(content)
    assert caught.value.error_count() == 1


def test_timeout(predictor: Predictor) -> None:
    """``timeout`` is in microseconds; the default is none."""
    inputs = tensors({"text": ["a"]})
    for parameters, seconds in (({"timeout": 1_500_000}, 1.5), ({}, math.inf)):
        body = json.dumps({"inputs": inputs, "parameters": parameters}).encode()
        assert parse(body, None, predictor.task, predictor.check).options.seconds == seconds


def test_an_output_that_is_mostly_padding(task_predictor: GetPredictor) -> None:
    """One answer of very many parts would make all rows as long; as JSON alone it is answered."""
    predictor = task_predictor("token-classification")
    entity = {"entity_group": "PER", "score": 0.5, "word": "Ada", "start": 0, "end": 3}
    answers = [[entity] * 50_000, *([[entity]] * 127)]
    for outputs, wanted in (([{"name": "output"}], 128), (None, 0)):
        content = {"inputs": tensors({"text": ["a"]}), "outputs": outputs}
        request = parse(json.dumps(content).encode(), None, predictor.task, predictor.task.check)
        reply = Reply([], [], answers, answers)
        if wanted:
            rendered, _ = render(predictor.task, request, reply, predictor.manifest, "m")
            assert len(rendered["outputs"][0]["data"]) == wanted
        else:
            with pytest.raises(InputTooLarge, match="entity_group would have 128 rows of 50,000 elements"):
                render(predictor.task, request, reply, predictor.manifest, "m")


def test_unequal_numbers_of_texts(task_predictor: GetPredictor) -> None:
    """The tensors of a pair must have equally many texts."""
    content = {"inputs": tensors({"text": ["a"], "text_pair": ["b", "c"]})}
    with pytest.raises(InputError, match=r"unequal numbers of texts: \{'text': 1, 'text_pair': 2\}"):
        infer(task_predictor("text pairs"), content)


def test_header_length(predictor: Predictor) -> None:
    """A header with a wrong length of the JSON is an error."""
    body = json.dumps({"inputs": tensors({"text": ["a"]})}).encode()
    with pytest.raises(InputError, match="Inference-Header-Content-Length is 999"):
        parse(body, 999, predictor.task, predictor.check)
    with pytest.raises(MalformedInput):
        parse(body, len(body) // 2, predictor.task, predictor.check)
