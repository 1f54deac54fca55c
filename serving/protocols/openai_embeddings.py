"""Sentence vectors in OpenAI's shape: https://platform.openai.com/docs/api-reference/embeddings."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from serving.protocols.base import Check, Reply, Request, check_inputs, content_of
from serving.tasks.base import Task
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionParameters
from serving.tasks.strict_model import StrictModel

PURPOSE = "gives sentence vectors"

Dimensions = Annotated[int, Field(ge=1)] | None


class _Body(StrictModel):
    input: Any
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Dimensions = None
    user: str | None = None


def parse(body: bytes, task: Task, check: Check) -> Request:
    """The texts of a ``/v1/embeddings`` request; ``model`` may be anything, for there is one. Raises InputError."""
    options = content_of(_Body, "/v1/embeddings", PURPOSE, body, task, FeatureExtraction)
    return Request(
        check_inputs(options.input, task, check, "input"),
        False,
        FeatureExtractionParameters(dimensions=options.dimensions),
        options,
    )


def render(task: Task, request: Request, reply: Reply) -> Any:
    """An object list with one vector a text, numbers or base64 of little-endian float32, and the tokens used."""
    options: _Body = request.options
    tokens = sum(len(window.ids) for each in reply.encoded for window in each.windows)
    data = [
        {"object": "embedding", "index": index, "embedding": _written(vector, options.encoding_format)}
        for index, vector in enumerate(reply.answers)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": options.model, "usage": usage}


def _written(vector: list[float], encoding_format: str) -> list[float] | str:
    if encoding_format == "float":
        return vector
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")
