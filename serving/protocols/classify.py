"""``/classify``: labels for texts, as vLLM; as Infinity where a body has ``raw_scores``."""

from __future__ import annotations

import time
import uuid
from typing import Any

from serving.protocols.base import Check, Reply, Request, check_inputs, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.tasks.base import Task
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.strict_model import StrictModel
from serving.tasks.text_classification import TextClassification

TASKS = (TextClassification, MultiLabelClassification)


class _Body(StrictModel):
    input: Any
    model: str = ""
    raw_scores: bool | None = None
    user: str | None = None


def parse(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    require_task(task, TASKS, "/classify gives labels")
    options = validate_body(_Body, load_json(body, task))
    parameters: dict[str, Any] = {"function_to_apply": "none"} if options.raw_scores else {}
    if isinstance(task, MultiLabelClassification):
        parameters["threshold"] = 0.0  # the protocol's answers have all labels
    items = check_inputs(options.input, task, check, "input")
    return Request(items, False, task.parameters_type(**parameters), options, field="input")


def render(task: Task, request: Request, reply: Reply) -> Any:
    options: _Body = request.options
    infinity = options.raw_scores is not None
    data = reply.answers if infinity else [_probabilities(task, *each) for each in enumerate(reply.answers)]
    tokens = sum(each.tokens for each in reply.encoded)
    return {
        "id": f"classify-{uuid.uuid4().hex}",
        "object": "classify" if infinity else "list",
        "created": int(time.time()),
        "model": options.model,
        "data": data,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _probabilities(task: Task, index: int, answer: list[Any]) -> dict[str, Any]:
    """In the order of the model's labels."""
    scores = {each["label"]: each["score"] for each in answer}
    probabilities = [scores[label] for label in task.labels]
    return {"index": index, "label": answer[0]["label"], "probs": probabilities, "num_classes": len(probabilities)}
