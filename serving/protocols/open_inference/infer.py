"""``infer``: a request's tensors to the task's inputs, and answers to tensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from serving import VERSION
from serving.bundle.manifest import Manifest
from serving.errors import InputError, quote
from serving.protocols.base import Check, Reply, Request, check_inputs, load_json, model_of, parameters_of
from serving.protocols.open_inference.options import BINARY_OUTPUT, TIMEOUT, InferOptions, RequestedOutput, read_options
from serving.protocols.open_inference.tensors import Tensor, TensorHead, texts_of
from serving.tasks.base import Datatype, Task
from serving.tasks.strict_model import FailFastList, StrictModel

WHOLE = "output"
"""The output that every task has: the whole answer to each input as JSON, in Hugging Face's shape."""

MOST_TENSORS = 16
"""More than any task has of inputs or of outputs."""


class Body(StrictModel):
    """The JSON of a request."""

    id: str = ""
    parameters: dict[str, Any] = Field(default={})
    inputs: FailFastList[TensorHead] = Field(min_length=1, max_length=MOST_TENSORS)
    outputs: Annotated[FailFastList[RequestedOutput], Field(max_length=MOST_TENSORS)] | None = None


def parse(body: bytes, header_length: int | None, task: Task, check: Check) -> Request:
    """The inputs of an ``infer`` request; its ``options`` is a `InferOptions`.

    Args:
        body: JSON, and behind its first ``header_length`` bytes the binary tensors; None: JSON alone.
        header_length: what the ``Inference-Header-Content-Length`` header says.
        task: what inputs, parameters and outputs mean.
        check: an input and its field to an item.

    Raises:
        MalformedInput: the JSON is none.
        InputTooLarge: it is past a limit.
        InputError: tensors are missing, unknown, of unequal length or malformed.
    """
    end = len(body) if header_length is None else header_length
    if not 0 <= end <= len(body):
        raise InputError(f"Inference-Header-Content-Length is {end}; the body has {len(body)} bytes")
    content = model_of(Body, load_json(body[:end], task))
    names = _names(content.inputs, task)
    inputs = _rows(_columns(texts_of(content.inputs, body[end:], task.limits.max_inputs), names))
    given = {name: value for name, value in content.parameters.items() if name not in (BINARY_OUTPUT, TIMEOUT)}
    options = read_options(content.id, content.parameters, content.outputs, list(output_datatypes(task)))
    return Request(check_inputs(inputs, task, check), False, parameters_of(given, task.parameters_type), options)


def render(task: Task, request: Request, reply: Reply, manifest: Manifest, name: str) -> tuple[Any, bytes]:
    """The response's JSON, and the binary tensors that follow it; raises InputError for an output it cannot give."""
    options: InferOptions = request.options
    heads: list[dict[str, Any]] = []
    binary = b""
    for tensor in _tensors(task, reply.answers, options.outputs):
        if options.outputs[tensor.name]:
            head, data = tensor.binary()
            binary += data
        else:
            head = tensor.content()
        heads.append(head)
    about = {"id": options.id} if options.id else {}
    return {"model_name": name, "model_version": version_of(manifest), **about, "outputs": heads}, binary


def version_of(manifest: Manifest) -> str:
    """A bundle has one version: the beginning of its digest."""
    return manifest.digest[:12]


def input_names(task: Task) -> list[str]:
    """The tensors a request has: the parts of an input, or ``text``."""
    return list(task.input_schema().get("properties", {})) or ["text"]


def output_datatypes(task: Task) -> dict[str, Datatype]:
    """The tensors an answer may have."""
    return {**task.output_tensors, WHOLE: "BYTES"}


def _names(heads: Sequence[TensorHead], task: Task) -> list[str]:
    """The names of the model's inputs, if they are those of the tensors; else InputError."""
    given, names = sorted(head.name for head in heads), input_names(task)
    if given != sorted(names):
        raise InputError(f"inputs are {quote(given)}; this model takes {names}, each once", field="inputs")
    return names


def _columns(texts: dict[str, list[str]], names: Sequence[str]) -> dict[str, list[str]]:
    lengths = {name: len(texts[name]) for name in names}
    if len(set(lengths.values())) > 1:
        raise InputError(f"inputs have unequal numbers of texts: {lengths}", field="inputs")
    return {name: texts[name] for name in names}


def _rows(columns: dict[str, list[str]]) -> list[Any]:
    """The inputs: bare texts, or objects of their parts."""
    if columns.keys() == {"text"}:
        return columns["text"]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _tensors(task: Task, answers: Sequence[Any], wanted: dict[str, bool]) -> list[Tensor]:
    rows = [task.row(answer) for answer in answers]
    whole = [json.dumps(answer, ensure_ascii=False) for answer in answers]
    found = [Tensor(WHOLE, "BYTES", [len(whole)], whole)] if WHOLE in wanted else []
    columns = {name: [row[name] for row in rows] for name in task.output_tensors if name in wanted}
    return [*(_matrix(name, task.output_tensors[name], column) for name, column in columns.items()), *found]


def _matrix(name: str, datatype: Datatype, column: Sequence[list[Any]]) -> Tensor:
    """Rows of one column; those that are shorter than the longest are filled up, for a tensor has no ragged edge."""
    width = max(map(len, column))
    filler = "" if datatype == "BYTES" else -1
    data = [value for row in column for value in (*row, *[filler] * (width - len(row)))]
    return Tensor(name, datatype, [len(column), width], data)


EXTENSIONS = ["binary_tensor_data"]


def server_metadata() -> dict[str, Any]:
    """``GET /v2``."""
    return {"name": "tuneship", "version": VERSION, "extensions": EXTENSIONS}


def model_metadata(task: Task, manifest: Manifest, name: str) -> dict[str, Any]:
    """``GET /v2/models/{name}``: a text a row in each input; ``-1`` is any number of rows, or of parts of an answer."""
    return {
        "name": name,
        "versions": [version_of(manifest)],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": each, "datatype": "BYTES", "shape": [-1]} for each in input_names(task)],
        "outputs": [
            {"name": each, "datatype": datatype, "shape": [-1] if each == WHOLE else [-1, -1]}
            for each, datatype in output_datatypes(task).items()
        ],
    }
