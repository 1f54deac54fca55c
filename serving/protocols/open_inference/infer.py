"""``infer``: from a request's tensors to the task's inputs, and from answers to tensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from serving import VERSION
from serving.bundle.manifest import Manifest
from serving.errors import InputError, InputTooLarge, quote
from serving.protocols.base import Check, Reply, Request, check_inputs, parse_parameters, validate_body
from serving.protocols.json_body import load_json
from serving.protocols.open_inference.options import BINARY_OUTPUT, TIMEOUT, InferOptions, RequestedOutput, read_options
from serving.protocols.open_inference.tensors import Tensor, TensorHead, read_texts
from serving.tasks.base import Datatype, Task
from serving.tasks.strict_model import FailFastList, StrictModel

ANSWER = "output"
"""Every task has this output: the whole answers as JSON."""

MAX_TENSORS = 16

MAX_PADDED = 100_000
"""Elements of an output tensor, where more than half are padding."""


class Body(StrictModel):
    id: str = ""
    parameters: dict[str, Any] = Field(default={})
    inputs: FailFastList[TensorHead] = Field(min_length=1, max_length=MAX_TENSORS)
    outputs: Annotated[FailFastList[RequestedOutput], Field(max_length=MAX_TENSORS)] | None = None


def parse(body: bytes, header_length: int | None, task: Task, check: Check) -> Request:
    """Its ``options`` are `InferOptions`; raises InputError or a subclass.

    ``header_length``: the bytes of JSON in front of the binary tensors; None: the body is all JSON.
    """
    end = len(body) if header_length is None else header_length
    if header_length is not None and not 0 < end <= len(body):
        raise InputError(f"Inference-Header-Content-Length is {end}; the body has {len(body)} bytes")
    content = validate_body(Body, load_json(body[:end], task))
    names = _check_names(content.inputs, task)
    inputs = _build_inputs(read_texts(content.inputs, body[end:], task.limits.max_inputs), names)
    parameters = {name: value for name, value in content.parameters.items() if name not in (BINARY_OUTPUT, TIMEOUT)}
    options = read_options(content.id, content.parameters, content.outputs, list(output_datatypes(task)))
    items = check_inputs(inputs, task, check)
    return Request(items, False, parse_parameters(parameters, task.parameters_type), options)


def render(task: Task, request: Request, reply: Reply, manifest: Manifest, name: str) -> tuple[Any, bytes]:
    """The response's JSON, and the binary tensors behind it."""
    options: InferOptions = request.options
    heads: list[dict[str, Any]] = []
    binary = b""
    for tensor in _build_tensors(task, reply.answers, options.outputs):
        head, data = tensor.to_binary() if options.outputs[tensor.name] else (tensor.to_json(), b"")
        heads.append(head)
        binary += data
    request_id = {"id": options.id} if options.id else {}
    return {"model_name": name, "model_version": version_of(manifest), **request_id, "outputs": heads}, binary


def version_of(manifest: Manifest) -> str:
    """The beginning of the bundle's digest."""
    return manifest.digest[:12]


def input_names(task: Task) -> list[str]:
    return list(task.input_schema().get("properties", {})) or ["text"]


def output_datatypes(task: Task) -> dict[str, Datatype]:
    return {**task.output_tensors, ANSWER: "BYTES"}


def _check_names(heads: Sequence[TensorHead], task: Task) -> list[str]:
    given, names = sorted(head.name for head in heads), input_names(task)
    if given != sorted(names):
        raise InputError(f"inputs are {quote(given)}; this model takes {names}, each once", field="inputs")
    return names


def _build_inputs(texts: dict[str, list[str]], names: Sequence[str]) -> list[Any]:
    lengths = {name: len(texts[name]) for name in names}
    if len(set(lengths.values())) > 1:
        raise InputError(f"inputs have unequal numbers of texts: {lengths}", field="inputs")
    if names == ["text"]:
        return texts["text"]
    return [dict(zip(names, row, strict=True)) for row in zip(*(texts[name] for name in names), strict=True)]


def _build_tensors(task: Task, answers: Sequence[Any], requested: dict[str, bool]) -> list[Tensor]:
    rows = [task.row(answer) for answer in answers]
    tensors = [
        _build_matrix(name, datatype, [row[name] for row in rows])
        for name, datatype in task.output_tensors.items()
        if name in requested
    ]
    if ANSWER in requested:
        texts = [json.dumps(answer, ensure_ascii=False) for answer in answers]
        tensors.append(Tensor(ANSWER, "BYTES", [len(texts)], texts))
    return tensors


def _build_matrix(name: str, datatype: Datatype, rows: Sequence[list[Any]]) -> Tensor:
    """Rows of one length: shorter ones are padded with "" or -1. Raises InputTooLarge where most were padding."""
    width = max(map(len, rows))
    if width * len(rows) > max(MAX_PADDED, 2 * sum(map(len, rows))):
        message = f"the output {name} would have {len(rows):,} rows of {width:,} elements, most of them padding"
        raise InputTooLarge(
            f"{message}; ask for the output {ANSWER} alone, or send long texts one by one", field="outputs"
        )
    padding = "" if datatype == "BYTES" else -1
    data = [value for row in rows for value in (*row, *[padding] * (width - len(row)))]
    return Tensor(name, datatype, [len(rows), width], data)


def server_metadata() -> dict[str, Any]:
    """``GET /v2``."""
    return {"name": "tuneship", "version": VERSION, "extensions": ["binary_tensor_data"]}


def model_metadata(task: Task, manifest: Manifest, name: str) -> dict[str, Any]:
    """``GET /v2/models/{name}``; ``-1`` in a shape is any number."""
    return {
        "name": name,
        "versions": [version_of(manifest)],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": each, "datatype": "BYTES", "shape": [-1]} for each in input_names(task)],
        "outputs": [
            {"name": each, "datatype": datatype, "shape": [-1] if each == ANSWER else [-1, -1]}
            for each, datatype in output_datatypes(task).items()
        ],
    }
