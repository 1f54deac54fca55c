"""Parameters of Hugging Face's pipelines, clients and containers that a task has under another name, or needs not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serving.errors import InputError, quote
from serving.tasks.base import Task, object_schema
from serving.tasks.generation import MOST_TOKENS, Generation, Text2TextGeneration
from serving.tasks.inputs import json_type
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.regression import Regression
from serving.tasks.text_classification import TextClassification
from serving.tasks.token_classification import TokenClassification

SCORES = (TextClassification, MultiLabelClassification, Regression)
ZERO_SHOT = "candidate_labels"
NESTED = "generate_parameters"
"""An object of further parameters, in which clients for summaries and translations put them."""

LENGTHS = {"max_length": "max_new_tokens", "min_length": "min_new_tokens"}
"""Of an encoder-decoder's answer; transformers counts the token that it begins with too."""

NEUTRAL: dict[str, list[Any]] = {
    "details": [False, None],
    "decoder_input_details": [False, None],
    "watermark": [False, None],
    "best_of": [1, None],
    "frequency_penalty": [0, None],
    "typical_p": [1, None],
    "top_n_tokens": [0, None],
    "grammar": [None],
    "adapter_id": [None],
    "return_tensors": [False, None],
    "return_text": [True, None],
    "clean_up_tokenization_spaces": [False, None],
    "src_lang": [None],
    "tgt_lang": [None],
}
"""Of text-generation-inference and of pipelines: the values of what a generating model lacks that turn it off."""

OPTIONS = ("wait_for_model", "use_cache", "use_gpu")
"""Of the inference API: the model is there already, nothing is cached, and the server knows its device."""


def read_options(options: Any) -> None:
    """They mean nothing here; raises InputError for others."""
    if options is not None and not isinstance(options, dict):
        raise InputError(f"options is {json_type(options)}; an object is accepted", field="options")
    for name, value in (options or {}).items():
        if name not in OPTIONS:
            raise InputError(f"options: unknown key {quote(name)}; accepted are {', '.join(OPTIONS)}", field="options")
        if not isinstance(value, bool):
            raise InputError(f"options.{name} is {quote(value)}; true and false are accepted", field="options")


def translate(parameters: Any, task: Task) -> Any:
    """Under the task's own names, still unchecked; raises InputError."""
    if not isinstance(parameters, dict):
        return parameters
    if ZERO_SHOT in parameters:
        some = ", ".join(task.labels[:5]) + (", …" if len(task.labels) > 5 else "")
        message = f"parameters.{ZERO_SHOT}: this model answers the labels of its training"
        raise InputError(f"{message} ({some or 'none'}); leave it out", field="parameters")
    if isinstance(task, Generation) and isinstance(parameters.get(NESTED), dict):
        rest = {name: value for name, value in parameters.items() if name != NESTED}
        parameters = _join(parameters[NESTED], rest.items(), NESTED)
    accepted = _accepted(task)
    if accepted.keys().isdisjoint(parameters):
        return parameters
    own = {name: value for name, value in parameters.items() if name not in accepted}
    for name in filter(accepted.__contains__, parameters):
        own = _join(own, _own(name, _check(name, parameters[name], accepted[name]), task), name)
    return own


def options_schema() -> dict[str, Any]:
    return object_schema({name: {"type": "boolean"} for name in OPTIONS}, [])


def parameters_schema(task: Task) -> dict[str, Any]:
    """JSON schema of all that `translate` reads."""
    own = task.parameters_type.model_json_schema()
    more: dict[str, Any] = {name: {"enum": values} for name, values in _accepted(task).items() if values}
    if isinstance(task, Generation):
        more["stop_sequences"] = own["properties"]["stop"]
        if isinstance(task, Text2TextGeneration):
            more |= {name: {"type": "integer", "minimum": 2, "maximum": MOST_TOKENS + 1} for name in LENGTHS}
        more[NESTED] = object_schema(own["properties"] | more, [])
    return {**own, "properties": own["properties"] | more}


def _accepted(task: Task) -> dict[str, list[Any]]:
    """Each name's values, none if the parameter that it becomes knows them."""
    only = [task.truncation] if task.is_pair or task.max_windows is None else ["longest_first", "only_first"]
    names: dict[str, list[Any]] = {
        "truncation": [True, False, None, "do_not_truncate", *only],
        "padding": [True, False, None, "longest", "max_length", "do_not_pad"],
    }
    if isinstance(task, SCORES):
        names["return_all_scores"] = [True, False, None]
    if isinstance(task, TokenClassification):
        names["grouped_entities"] = [True, False, None]
    if isinstance(task, Generation):
        names |= {"stop_sequences": [], **NEUTRAL}
    if isinstance(task, Text2TextGeneration):
        names |= {name: [] for name in LENGTHS}
    return names


def _check(name: str, value: Any, accepted: list[Any]) -> Any:
    if name in LENGTHS and not (type(value) is int and 2 <= value <= MOST_TOKENS + 1):
        message = f"parameters.{name} is {quote(value)}; accepted here are numbers from 2 to {MOST_TOKENS + 1:,}"
        raise InputError(message, field="parameters")
    if accepted and not any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in accepted):
        told = ", ".join("null" if each is None else str(each).lower() for each in accepted)
        raise InputError(f"parameters.{name} is {quote(value)}; accepted here are: {told}", field="parameters")
    return value


def _own(name: str, value: Any, task: Task) -> Iterator[tuple[str, Any]]:
    """What the task calls it."""
    if name == "stop_sequences":
        yield "stop", value
    elif name in LENGTHS:
        yield LENGTHS[name], value - 1
    elif value is None or name in NEUTRAL:
        return
    elif name == "truncation":
        yield "truncate", value not in (False, "do_not_truncate")
    elif name == "grouped_entities":
        yield "aggregation_strategy", "simple" if value else "none"
    elif name == "return_all_scores" and not isinstance(task, Regression):
        yield "top_k", None if value else 1
        if isinstance(task, MultiLabelClassification):
            yield "threshold", 0.0


def _join(own: Mapping[str, Any], more: Any, source: str) -> dict[str, Any]:
    """Raises InputError where two say different things."""
    joined = dict(own)
    for name, value in more:
        if name in joined and joined[name] != value:
            message = f"parameters.{source} and parameters.{name} contradict each other; send one of them"
            raise InputError(message, field="parameters")
        joined[name] = value
    return joined
