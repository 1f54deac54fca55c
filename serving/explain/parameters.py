"""The request body of ``/explain`` and its limits."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from serving.errors import InputError
from serving.explain.masking import Kind
from serving.explain.segments import Granularity
from serving.protocols.base import Check, Request, parse_parameters
from serving.protocols.hugging_face import require_object
from serving.protocols.json_body import load_json
from serving.tasks import base
from serving.tasks.base import Task
from serving.tasks.strict_model import StrictModel

Output = Literal["logit", "probability"]
Samples = Annotated[int, Field(ge=2, le=1024, multiple_of=2)]


class Place(StrictModel):
    """A span in code points."""

    start: int = Field(ge=0)
    end: int = Field(ge=1)


class ExplainParameters(base.TaskParameters):
    places: ClassVar[bool] = True

    method: Literal["occlusion", "shap"] = Field(
        default="occlusion", description="occlusion: what is lost with each unit; shap: Shapley values"
    )
    target: str | Place | None = Field(
        default=None,
        description="a label, or an entity's type or place; absent: the best answer, or the likeliest label if none is"
        " answered",
    )
    output: Output = Field(default="logit", description="what is explained; a logit adds up, a probability saturates")
    granularity: Granularity = Field(default="word", description="what is masked together")
    replacement: Kind | None = Field(
        default=None, description="what masks a token; absent: the first of these that the tokenizer has"
    )
    samples: Samples | None = Field(
        default=None, description="shap: orders to draw, an even number; absent: what the limits pay for, or all"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="shap: of the draw")


def parse(body: bytes, task: Task, check: Check) -> Request:
    """The one input of ``{"inputs": …, "parameters": {…}}``, and its `ExplainParameters`; raises InputError."""
    content = require_object(load_json(body, task))
    if isinstance(content["inputs"], list):
        raise InputError("inputs is a list; /explain takes one input at a time: send it bare", field="inputs")
    item = check(content["inputs"], "inputs")
    return Request([item], True, parse_parameters(content.get("parameters"), ExplainParameters))


MAX_ROWS = 256
MAX_TOKENS = 32_768
LIMITS = {"max_explain_rows": MAX_ROWS, "max_explain_tokens": MAX_TOKENS}
