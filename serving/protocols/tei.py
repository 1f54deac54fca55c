"""The formats of https://huggingface.github.io/text-embeddings-inference.

In ``/predict`` a list of one or two texts is one input; several inputs are a list of such lists.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from serving.errors import InputError
from serving.protocols.base import Check, Reply, Request, check_inputs, refuse_token_ids, require_task, validate_body
from serving.protocols.json_body import load_json
from serving.tasks.base import Task, object_schema
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionParameters
from serving.tasks.inputs import text_schema
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.regression import Regression
from serving.tasks.strict_model import StrictModel
from serving.tasks.text_classification import TextClassification

SCORING_TASKS = (TextClassification, MultiLabelClassification, Regression)

PREDICT_TASKS = (*SCORING_TASKS, FeatureExtraction)
"""The tasks whose ``/predict`` also accepts these formats."""

Direction = Annotated[
    Literal["right", "left"], BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
]
"""The protocol's document says ``Right``, its clients ``right``."""


class Body(StrictModel):
    """``truncate: null`` is the server's default, which truncates."""

    inputs: Any
    truncate: bool | None = None
    truncation_direction: Direction = "right"

    @property
    def truncation(self) -> dict[str, Any]:
        return {"truncate": self.truncate is not False, "truncation_direction": self.truncation_direction}


class _Predict(Body):
    raw_scores: bool = False


class _Embed(Body):
    normalize: bool = True
    dimensions: Annotated[int, Field(ge=1)] | None = None
    prompt_name: None = None


PREDICT_KEYS = _Predict.model_fields.keys() - {"inputs"}
EMBED_KEYS = _Embed.model_fields.keys() - {"inputs"}


def is_tei_body(content: Any, task: Task) -> bool:
    """Whether a body of ``/predict`` has this format and not the inference API's."""
    if not isinstance(content, dict):
        return False
    if isinstance(task, FeatureExtraction):
        return bool(content.keys() & EMBED_KEYS)
    if not isinstance(task, SCORING_TASKS):
        return False
    inputs = content.get("inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    return bool(content.keys() & PREDICT_KEYS) or isinstance(first, list) or (_reads_pairs(task) and type(first) is str)


def parse(content: Any, task: Task, check: Check) -> Request:
    return (_parse_embed if isinstance(task, FeatureExtraction) else _parse_predict)(content, task, check)


def parse_predict(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    require_task(task, SCORING_TASKS, "/tei/predict scores texts")
    return _parse_predict(load_json(body, task), task, check)


def parse_embed(body: bytes, task: Task, check: Check) -> Request:
    """Raises InputError."""
    require_task(task, FeatureExtraction, "/embed gives sentence vectors")
    return _parse_embed(load_json(body, task), task, check)


def render(task: Task, request: Request, reply: Reply) -> Any:
    return reply.answers[0] if request.lone else reply.answers


def _parse_predict(content: Any, task: Task, check: Check) -> Request:
    options = validate_body(_Predict, content)
    inputs, lone = _convert_inputs(options.inputs, task)
    known, parameters = task.parameters_type.model_fields, options.truncation
    if "threshold" in known:
        parameters["threshold"] = 0.0  # the protocol's answers have all labels
    if options.raw_scores and "function_to_apply" in known:
        parameters["function_to_apply"] = "none"
    return Request(check_inputs(inputs, task, check), lone, task.parameters_type(**parameters), options)


def _parse_embed(content: Any, task: Task, check: Check) -> Request:
    options = validate_body(_Embed, content)
    refuse_token_ids(options.inputs, "inputs")
    parameters = FeatureExtractionParameters(
        normalize=options.normalize, dimensions=options.dimensions, **options.truncation
    )
    return Request(check_inputs(options.inputs, task, check), False, parameters, options)


def _convert_inputs(inputs: Any, task: Task) -> tuple[Any, bool]:
    """The task's inputs, and whether it is a lone one."""
    if not isinstance(inputs, list) or not inputs:
        return inputs, not isinstance(inputs, list)
    if isinstance(inputs[0], list):
        return [_convert_input(each, f"inputs[{index}]", task) for index, each in enumerate(inputs)], False
    return _convert_input(inputs, "inputs", task), True


def _convert_input(texts: Any, field: str, task: Task) -> Any:
    if not isinstance(texts, list) or len(texts) not in (1, 2):
        raise InputError(f"{field} must be a list of one or two texts, as the first input is", field=field)
    if len(texts) == 1:
        return texts[0]
    if not _reads_pairs(task):
        message = f'{field} is a pair, and this model reads single texts; send [["a text"], ["another"]] for two texts'
        raise InputError(message, field=field)
    return {"text": texts[0], "text_pair": texts[1]}


def _reads_pairs(task: Task) -> bool:
    return getattr(task.settings, "pair", False) is True


def request_schema(task: Task) -> dict[str, Any]:
    model, inputs = (
        (_Embed, _texts_schema(task)) if isinstance(task, FeatureExtraction) else (_Predict, _batch_schema(task))
    )
    known = model.model_json_schema()["properties"]
    direction = {"type": "string", "pattern": "^([Ll][Ee][Ff][Tt]|[Rr][Ii][Gg][Hh][Tt])$"}
    return object_schema(known | {"inputs": inputs, "truncation_direction": direction}, ["inputs"])


def _texts_schema(task: Task) -> dict[str, Any]:
    text = text_schema(task.limits)
    return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": task.limits.max_inputs}]}


def _batch_schema(task: Task) -> dict[str, Any]:
    text, length = text_schema(task.limits), 2 if _reads_pairs(task) else 1
    sequence = {"type": "array", "items": text, "minItems": length, "maxItems": length}
    batch = {"type": "array", "items": sequence, "minItems": 1, "maxItems": task.limits.max_inputs}
    return {"anyOf": [sequence, batch] if length == 2 else [text, sequence, batch]}
