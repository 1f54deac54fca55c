"""What Hugging Face's pipelines, clients and containers call a parameter is accepted with its meaning, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from serving.bundle.manifest import Limits
from serving.errors import InputError
from serving.inference.predictor import Predictor
from serving.protocols.base import parse_parameters
from serving.protocols.pipeline_parameters import parameters_schema, read_options, translate
from serving.tasks import TASKS
from serving.tasks.base import Task

SETTINGS: dict[str, dict[str, Any]] = {"feature-extraction": {"dimensions": 4}}


def task_of(name: str, **settings: Any) -> Task:
    """A task of three labels."""
    kind = TASKS[name]
    options = kind.settings_type.model_validate(SETTINGS.get(name, {}) | settings)
    return kind(["a", "b", "c"], options, Limits())


@pytest.mark.parametrize(
    ("task", "parameters", "own"),
    [
        ("text-classification", {"truncation": True, "max_length": 512}, {"max_length": 512}),
        ("text-classification", {"truncation": "longest_first"}, {}),
        ("text-classification", {"truncation": "only_first", "padding": "max_length"}, {}),
        ("text-classification", {"truncation": False}, {"truncate": False}),
        ("text-classification", {"truncation": "do_not_truncate", "padding": None}, {"truncate": False}),
        ("text-classification", {"truncation": None, "truncate": False}, {"truncate": False}),
        ("text-classification", {"return_all_scores": True}, {}),
        ("text-classification", {"return_all_scores": True, "top_k": None}, {}),
        ("text-classification", {"return_all_scores": False}, {"top_k": 1}),
        ("multi-label-classification", {"return_all_scores": True}, {"threshold": 0.0}),
        ("multi-label-classification", {"return_all_scores": False}, {"threshold": 0.0, "top_k": 1}),
        ("regression", {"return_all_scores": True, "truncation": True}, {}),
        ("token-classification", {"grouped_entities": True}, {"aggregation_strategy": "simple"}),
        ("token-classification", {"grouped_entities": False}, {"aggregation_strategy": "none"}),
        ("question-answering", {"truncation": "only_second", "padding": True}, {}),
        ("feature-extraction", {"truncation": True, "normalize": False}, {"normalize": False}),
        ("text-generation", {"stop_sequences": ["z"], "do_sample": False}, {"stop": ["z"], "do_sample": False}),
        ("text2text-generation", {"generate_parameters": {"num_beams": 2}, "top_k": 3}, {"num_beams": 2, "top_k": 3}),
        ("text2text-generation", {"max_length": 9, "min_length": 3}, {"max_new_tokens": 8, "min_new_tokens": 2}),
        ("text2text-generation", {"generate_parameters": {"max_length": 9}}, {"max_new_tokens": 8}),
        ("text2text-generation", {"src_lang": None, "clean_up_tokenization_spaces": False}, {}),
        (
            "text-generation",
            {"watermark": False, "best_of": 1, "typical_p": 1.0, "details": False, "grammar": None},
            {},
        ),
        ("text-generation", {"generate_parameters": {"stop_sequences": ["z"]}}, {"stop": ["z"]}),
    ],
)
def test_accepted(task: str, parameters: dict[str, Any], own: dict[str, Any]) -> None:
    """They become the task's own parameters, and the schema accepts them too."""
    served = task_of(task)
    parsed = parse_parameters(translate(parameters, served), served.parameters_type)
    assert parsed == served.parameters_type.model_validate(own)
    assert Draft202012Validator(parameters_schema(served)).is_valid(parameters)


@pytest.mark.parametrize(
    ("task", "parameters", "message"),
    [
        ("text-classification", {"truncation": "only_second"}, "parameters.truncation is 'only_second'; accepted here"),
        ("text-classification", {"truncation": 1}, "parameters.truncation is 1; accepted here are: true, false, null"),
        ("text-classification", {"padding": "left"}, "parameters.padding is 'left'; accepted here are: true, false"),
        (
            "text-classification",
            {"return_all_scores": True, "top_k": 2},
            "return_all_scores and parameters.top_k",
        ),
        (
            "text-classification",
            {"truncation": False, "truncate": True},
            "parameters.truncate contradict each other",
        ),
        (
            "text-classification",
            {"candidate_labels": ["x"]},
            r"candidate_labels: .* its training \(a, b, c\)",
        ),
        ("text-classification", {"generate_parameters": {}}, "generate_parameters: .*; accepted parameters: truncate"),
        ("text-classification", {"max_length": 0}, "max_length: .*greater than or equal to 1"),
        ("text-generation", {"max_length": 9}, "max_length: .*; accepted parameters: truncate"),
        ("text-generation", {"generate_parameters": {"seed": 1}, "seed": 2}, "generate_parameters and parameters.seed"),
        ("text-generation", {"generate_parameters": 1}, "generate_parameters: "),
        ("text-generation", {"best_of": 2}, "parameters.best_of is 2; accepted here are: 1, null"),
        ("text-generation", {"details": True}, "parameters.details is True; accepted here are: false, null"),
        ("text2text-generation", {"tgt_lang": "de"}, "parameters.tgt_lang is 'de'; accepted here are: null"),
        ("text2text-generation", {"max_length": 1}, "parameters.max_length is 1; accepted here are numbers from 2"),
        ("token-classification", {"stride": 2}, "stride: .*; accepted parameters: truncate"),
    ],
)
def test_refused(task: str, parameters: dict[str, Any], message: str) -> None:
    """The message names the parameter, and what is accepted."""
    served = task_of(task)
    with pytest.raises(InputError, match=message) as caught:
        parse_parameters(translate(parameters, served), served.parameters_type)
    assert caught.value.field == "parameters"


def test_pairs_are_cut_as_the_model_is() -> None:
    """The longer text first; another order would be another answer."""
    pairs = task_of("text-classification", pair=True)
    assert translate({"truncation": "longest_first"}, pairs) == {"truncate": True}
    with pytest.raises(InputError, match="only_first"):
        translate({"truncation": "only_first"}, pairs)


@pytest.mark.parametrize("options", [None, {}, {"wait_for_model": True, "use_cache": False, "use_gpu": False}])
def test_options(options: Any) -> None:
    """Of the inference API; they mean nothing here."""
    read_options(options)


@pytest.mark.parametrize("options", [[], "a", 0, {"wait": True}, {"use_cache": 1}])
def test_unknown_options(options: Any) -> None:
    """Others are refused."""
    with pytest.raises(InputError, match="options"):
        read_options(options)


def test_max_length(predictor: Predictor) -> None:
    """Fewer tokens are read, and the answer is that of the beginning; more than the model reads are not."""
    kind = predictor.task.parameters_type
    text, beginning = "where is my parcel? refund order 17", "where is"
    (short, answer), (alone, expected) = predictor.predict_encoded([text, beginning], kind(max_length=4))
    assert (short.truncated, alone.truncated) == (True, False)
    assert (short.windows[0].ids, answer) == (alone.windows[0].ids, expected)
    [(whole, _)] = predictor.predict_encoded([text], kind(max_length=10**6))
    assert not whole.truncated
    with pytest.raises(InputError, match=r"has \d+ tokens and 4 of them are read"):
        predictor.predict([text], kind(max_length=4, truncate=False))
