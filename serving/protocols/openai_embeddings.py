"""``/v1/embeddings``: https://platform.openai.com/docs/api-reference/embeddings."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from serving.protocols.base import Check, Reply, Request, check_inputs, refuse_token_ids, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.tasks.base import Task
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionParameters
from serving.tasks.strict_model import StrictModel


class _Body(StrictModel):
    input: Any
    model: str = ""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


def parse(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    require_task(task, FeatureExtraction, "/v1/embeddings gives sentence vectors")
    options = validate_body(_Body, load_json(body, task))
    refuse_token_ids(options.input, "input", " (LangChain's OpenAIEmbeddings: check_embedding_ctx_length=False)")
    items = check_inputs(options.input, task, check, "input")
    return Request(items, False, FeatureExtractionParameters(dimensions=options.dimensions), options, field="input")


def render(task: Task, request: Request, reply: Reply) -> Any:
    """A vector per text, as numbers or base64 of little-endian float32."""
    options: _Body = request.options
    tokens = sum(each.tokens for each in reply.encoded)
    data = [
        {"object": "embedding", "index": index, "embedding": _encode_vector(vector, options.encoding_format)}
        for index, vector in enumerate(reply.answers)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": options.model, "usage": usage}


def _encode_vector(vector: list[float], encoding_format: str) -> list[float] | str:
    if encoding_format == "float":
        return vector
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")
