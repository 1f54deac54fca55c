"""``/similarity``: how alike one text is to others, as text-embeddings-inference and Hugging Face's client have it."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from serving.protocols.base import Check, Reply, Request, check_inputs, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.protocols.tei import Direction
from serving.tasks.base import Task, object_schema
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionParameters
from serving.tasks.inputs import text_schema
from serving.tasks.strict_model import StrictModel

SOURCE, OTHERS = "inputs.source_sentence", "inputs.sentences"


class _Sentences(StrictModel):
    source_sentence: Any
    sentences: Annotated[list[Any], Field(min_length=1)]


class _Parameters(StrictModel):
    truncate: bool | None = None
    truncation_direction: Direction = "right"
    prompt_name: None = None


class Body(StrictModel):
    inputs: _Sentences
    parameters: _Parameters | None = None


def is_similarity_body(content: Any) -> bool:
    """Whether a body of ``/predict`` asks for it."""
    inputs = content.get("inputs") if isinstance(content, dict) else None
    return isinstance(inputs, dict) and not inputs.keys().isdisjoint(_Sentences.model_fields)


def parse(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    return parse_content(load_json(body, task), task, check)


def parse_content(content: Any, task: Task, check: Check) -> Request:
    """The first item is the source."""
    require_task(task, FeatureExtraction, "the similarity of sentences is that of their vectors")
    options = validate_body(Body, content)
    asked = options.parameters or _Parameters()
    parameters = FeatureExtractionParameters(
        truncate=asked.truncate is not False, truncation_direction=asked.truncation_direction
    )
    others = check_inputs(options.inputs.sentences, task, check, OTHERS)
    items = [check(options.inputs.source_sentence, SOURCE), *others]
    fields = [SOURCE, *(f"{OTHERS}[{index}]" for index in range(len(others)))]
    return Request(items, False, parameters, options, field=OTHERS, fields=fields)


def render(task: Task, request: Request, reply: Reply) -> list[float]:
    """Cosines, in the order of the sentences."""
    source, *others = (np.asarray(vector, dtype=np.float64) for vector in reply.answers)
    return [float(np.clip(other @ source, -1.0, 1.0)) for other in others]


def request_schema(task: Task) -> dict[str, Any]:
    text = text_schema(task.limits)
    sentences = {"type": "array", "items": text, "minItems": 1, "maxItems": task.limits.max_inputs}
    inputs = object_schema({"source_sentence": text, "sentences": sentences})
    direction = {"type": "string", "pattern": "^([Ll][Ee][Ff][Tt]|[Rr][Ii][Gg][Hh][Tt])$"}
    parameters = _Parameters.model_json_schema()["properties"] | {"truncation_direction": direction}
    nullable = {"anyOf": [object_schema(parameters, []), {"type": "null"}]}
    return object_schema({"inputs": inputs, "parameters": nullable}, ["inputs"])
