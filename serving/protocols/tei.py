"""The shapes of Hugging Face's text-embeddings-inference.

Format: https://huggingface.github.io/text-embeddings-inference. In ``/predict`` a list of one or two bare texts is one
input, a text or a pair; several inputs are a list of such lists. The answer to one is flat.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from serving.errors import InputError
from serving.protocols.base import Check, Reply, Request, check_inputs, load_json, model_of
from serving.tasks.base import Task, object_schema
from serving.tasks.feature_extraction import FeatureExtraction, FeatureExtractionParameters
from serving.tasks.inputs import text_schema
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.regression import Regression
from serving.tasks.strict_model import StrictModel
from serving.tasks.text_classification import TextClassification

SCORED = (TextClassification, MultiLabelClassification, Regression)
"""The tasks that give a text, or a pair, labels and scores."""

SPOKEN = (*SCORED, FeatureExtraction)
"""The tasks that ``/predict`` takes these shapes of."""

SCORING = frozenset(task.name for task in SCORED)

Direction = Annotated[
    Literal["right", "left"], BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
]
"""Its document writes ``Left`` and ``Right``, its default and its clients ``right``."""


class Body(StrictModel):
    """``truncate: null`` is the server's own choice, which is to truncate: ``auto_truncate`` in ``/info``."""

    inputs: Any
    truncate: bool | None = None
    truncation_direction: Direction = "right"

    @property
    def truncation(self) -> dict[str, Any]:
        """The task's parameters of the same names."""
        return {"truncate": self.truncate is not False, "truncation_direction": self.truncation_direction}


class _Predict(Body):
    raw_scores: bool = False


class _Embed(Body):
    normalize: bool = True
    dimensions: Annotated[int, Field(ge=1)] | None = None
    prompt_name: None = None


PREDICT_KEYS = frozenset({"truncate", "truncation_direction", "raw_scores"})
EMBED_KEYS = frozenset({"truncate", "truncation_direction", "normalize", "dimensions", "prompt_name"})


def meant(content: Any, task: Task) -> bool:
    """Whether a body for ``/predict`` is one that only this shape knows, and not that of the inference API."""
    if not isinstance(content, dict):
        return False
    if isinstance(task, FeatureExtraction):
        return bool(content.keys() & EMBED_KEYS)
    if not isinstance(task, SCORED):
        return False
    inputs = content.get("inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    return bool(content.keys() & PREDICT_KEYS) or isinstance(first, list) or (_reads_pairs(task) and type(first) is str)


def parse(content: Any, task: Task, check: Check) -> Request:
    """The request of a body that is `meant`; raises InputError."""
    return (_embedded if isinstance(task, FeatureExtraction) else _predicted)(content, task, check)


def parse_predict(body: bytes, task: Task, check: Check) -> Request:
    """``POST /tei/predict``; raises InputError."""
    if not isinstance(task, SCORED):
        raise InputError(f"/tei/predict scores texts, and this bundle's task is {task.name}; send to /predict")
    return _predicted(load_json(body, task), task, check)


def parse_embed(body: bytes, task: Task, check: Check) -> Request:
    """``POST /embed``; raises InputError."""
    if not isinstance(task, FeatureExtraction):
        raise InputError(f"/embed gives sentence vectors, and this bundle's task is {task.name}; send to /predict")
    return _embedded(load_json(body, task), task, check)


def render(task: Task, request: Request, reply: Reply) -> Any:
    """A lone input's labels, a list of such lists for several; vectors always come in a list."""
    return reply.answers[0] if request.lone else reply.answers


def _predicted(content: Any, task: Task, check: Check) -> Request:
    options = model_of(_Predict, content)
    inputs, lone = _sequences(options.inputs, task)
    known, parameters = task.parameters_type.model_fields, options.truncation
    if "threshold" in known:
        parameters["threshold"] = 0.0  # all labels are told
    if options.raw_scores and "function_to_apply" in known:
        parameters["function_to_apply"] = "none"
    return Request(check_inputs(inputs, task, check), lone, task.parameters_type(**parameters), options)


def _embedded(content: Any, task: Task, check: Check) -> Request:
    options = model_of(_Embed, content)
    parameters = FeatureExtractionParameters(
        normalize=options.normalize, dimensions=options.dimensions, **options.truncation
    )
    return Request(check_inputs(options.inputs, task, check), False, parameters, options)


def _sequences(inputs: Any, task: Task) -> tuple[Any, bool]:
    """The inputs as the task knows them, and whether it is a lone one."""
    if not isinstance(inputs, list) or not inputs:
        return inputs, not isinstance(inputs, list)
    if isinstance(inputs[0], list):
        return [_sequence(each, f"inputs[{place}]", task) for place, each in enumerate(inputs)], False
    return _sequence(inputs, "inputs", task), True


def _sequence(texts: Any, field: str, task: Task) -> Any:
    if not isinstance(texts, list) or len(texts) not in (1, 2):
        raise InputError(f"{field} must be a list of one text or two, as all of this batch", field=field)
    if len(texts) == 1:
        return texts[0]
    if not _reads_pairs(task):
        message = f'{field} is a pair, and this model reads lone texts; several of them are [["a text"], ["another"]]'
        raise InputError(message, field=field)
    return {"text": texts[0], "text_pair": texts[1]}


def _reads_pairs(task: Task) -> bool:
    return getattr(task.settings, "pair", False) is True


def request_schema(task: Task) -> dict[str, Any]:
    """JSON schema of a ``/predict`` body of a task in `SPOKEN`."""
    model, inputs = (_Embed, _texts(task)) if isinstance(task, FeatureExtraction) else (_Predict, _batches(task))
    known = model.model_json_schema()["properties"]
    direction = {"type": "string", "pattern": "^([Ll][Ee][Ff][Tt]|[Rr][Ii][Gg][Hh][Tt])$"}
    return object_schema(known | {"inputs": inputs, "truncation_direction": direction}, ["inputs"])


def _texts(task: Task) -> dict[str, Any]:
    text = text_schema(task.limits)
    return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": task.limits.max_inputs}]}


def _batches(task: Task) -> dict[str, Any]:
    text, length = text_schema(task.limits), 2 if _reads_pairs(task) else 1
    sequence = {"type": "array", "items": text, "minItems": length, "maxItems": length}
    batch = {"type": "array", "items": sequence, "minItems": 1, "maxItems": task.limits.max_inputs}
    return {"anyOf": [sequence, batch] if length == 2 else [text, sequence, batch]}
