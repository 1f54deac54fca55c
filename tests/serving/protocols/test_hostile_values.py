"""Whatever stands in a request of whatever protocol, its mistake is its caller's, and the answer names the part."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from serving.protocols.openai_models import requested_model

JSON = {"content-type": "application/json"}
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["where is it?"], "parameters": {}}
GENERATION: dict[str, Any] = {
    "max_new_tokens": 2, "min_new_tokens": 0, "num_beams": 1, "do_sample": True, "temperature": 1.0, "top_k": 2,
    "top_p": 0.5, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "length_penalty": 1.0, "early_stopping": False,
    "num_return_sequences": 1, "seed": 1, "stop": ["z"], "return_full_text": False,
}  # fmt: skip
BODIES: dict[str, tuple[str, str, Any]] = {
    "texts": ("text-classification", "/predict", {
        "inputs": ["a", "b"],
        "parameters": {
            "top_k": 1, "function_to_apply": "none", "truncate": True, "truncation_direction": "left",
            "max_length": 9, "padding": True,
        },
        "options": {"wait_for_model": True}, "stream": False}),
    "pipelines' parameters": ("multi-label-classification", "/predict", {
        "inputs": "a", "parameters": {"truncation": "longest_first", "return_all_scores": True}}),
    "pairs": ("text pairs", "/predict", {"inputs": {"text": "a", "text_pair": "b"}, "parameters": {}}),
    "several labels": ("multi-label-classification", "/predict", {
        "inputs": "a", "parameters": {"top_k": 1, "threshold": 0.5, "function_to_apply": "sigmoid"}}),
    "entities": ("token-classification", "/predict", {
        "inputs": "Ada", "parameters": {"aggregation_strategy": "max", "ignore_labels": ["O"]}}),
    "answers": ("question-answering", "/predict", {
        "inputs": {"question": "who?", "context": "Ada"},
        "parameters": {"top_k": 1, "max_answer_len": 3, "handle_impossible_answer": True}}),
    "vectors": ("feature-extraction", "/predict", {"inputs": "a", "parameters": {"normalize": True, "dimensions": 2}}),
    "texts that continue": ("text-generation", "/predict", {"inputs": "a", "parameters": GENERATION}),
    "nested parameters": ("text-generation", "/predict", {
        "inputs": "a", "parameters": {"generate_parameters": {"max_new_tokens": 2}, "stop_sequences": ["z"]}}),
    "TEI's scores": ("text-classification", "/tei/predict", {
        "inputs": [["a"]], "raw_scores": True, "truncate": True, "truncation_direction": "Right"}),
    "TEI's vectors": ("feature-extraction", "/tei/embed", {
        "inputs": ["a"], "normalize": True, "dimensions": 2, "truncate": True, "prompt_name": None}),
    "similarity": ("feature-extraction", "/similarity", {
        "inputs": {"source_sentence": "a", "sentences": ["b"]},
        "parameters": {"truncate": True, "truncation_direction": "Left", "prompt_name": None}}),
    "a similarity asked of /predict": ("feature-extraction", "/predict", {
        "inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {}}),
    "ranks": ("scored pairs", "/rerank", {
        "query": "a", "texts": ["b", "c"], "raw_scores": True, "return_text": True, "truncate": True}),
    "ranked documents": ("scored pairs", "/v1/rerank", {
        "query": "a", "documents": ["b", {"text": "c"}], "model": "m", "top_n": 1, "return_documents": True}),
    "classes": ("text-classification", "/classify", {"input": ["a"], "model": "m", "raw_scores": False}),
    "decisions": ("text-classification", "/v1/decisions", {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}], "model": "m",
        "questions": [
            {"type": "predicate", "name": "track", "instructions": "?"},
            {"type": "choice", "instructions": "?", "choices": [{"value": "track"}, {"value": "refund"}]},
            {"type": "score", "instructions": ["?"], "levels": [{"label": "track"}, {"label": "refund"}]},
        ],
        "prompt_cache_key": "k", "safety_identifier": "s"}),
    "OpenAI's vectors": ("feature-extraction", "/v1/embeddings", {
        "input": ["a"], "model": "m", "encoding_format": "float", "dimensions": 2, "user": "u"}),
    "OpenAI's completions": ("text-generation", "/v1/completions", {
        "prompt": "a", "model": "m", "max_tokens": 2, "temperature": 0.5, "top_p": 0.5, "n": 1, "stream": False,
        "stop": ["z"], "seed": 1, "echo": False, "user": "u", "best_of": 1, "logprobs": None, "presence_penalty": 0}),
    "tensors": ("text-classification", "/v2/models/{name}/infer", {
        "id": "7", "inputs": [TENSOR], "outputs": [{"name": "label", "parameters": {"binary_data": False}}],
        "parameters": {"top_k": 1, "timeout": 9_000_000, "binary_data_output": False}}),
    "explanations": ("text-classification", "/explain", {
        "inputs": "a b", "parameters": {
            "method": "shap", "target": None, "output": "logit", "granularity": "word", "replacement": "mask",
            "samples": 2, "seed": 1}}),
    "lines": ("text-classification", "/invocations", {"inputs": ["a"], "parameters": {"top_k": 1}}),
}  # fmt: skip

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**400, -(10**400), 0.5, -0.0, 5e-324, 1e308, -1e308,
    float("nan"), float("inf"), -float("inf"), "", " ", "\0", "a\0b", "\ud800", "a\udfff", "\ufeff", "true", "1", "NaN",
    "x" * 5000, "\u202e\u2028", [], {}, [[]], [None], [""], ["\ud800"], ["a", 1], [["a", "b", "c"]], {"": ""},
    {"\ud800": "\ud800"}, {"text": {}}, [[[[[[]]]]]], [0] * 300, {str(at): at for at in range(99)},
]  # fmt: skip


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every value within a body, and of a new key in every object."""
    yield path
    if isinstance(content, dict):
        yield (*path, "another")
    parts = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, each in parts:
        yield from places(each, (*path, key))


def with_value(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at a place."""
    if not path:
        return value
    changed = copy.deepcopy(content)
    part = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return changed


def problem(response: Any) -> str:
    """The message of a refusal, in the shape of its protocol."""
    error = response.json()["error"]
    return str(error["message"] if isinstance(error, dict) else error)


@pytest.fixture(scope="module")
def clients(task_client: Callable[[str], TestClient]) -> Callable[[str], tuple[TestClient, str]]:
    """A client of a toy, and its model's name."""

    def of(toy: str) -> tuple[TestClient, str]:
        client = task_client(toy)
        return client, client.get("/info").json()["served_as"]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("protocol", BODIES)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_values(clients: Callable[[str], tuple[TestClient, str]], protocol: str, data: st.DataObject) -> None:
    """Any value at any place of a body is answered, or refused by the name of its place."""
    toy, path, body = BODIES[protocol]
    client, name = clients(toy)
    place = data.draw(st.sampled_from(list(places(body))))
    value = data.draw(st.sampled_from(VALUES))
    kind = "application/jsonlines" if protocol == "lines" else "application/json"
    content = json.dumps(with_value(body, place, value)).encode()
    response = client.post(path.format(name=name), content=content, headers={"content-type": kind})
    assert response.status_code < 500, (place, value, response.text)
    if response.status_code != 200:
        names = [str(key) for key in place if isinstance(key, str)]
        told = problem(response)
        assert not names or any(each in told for each in names) or "the body" in told, (place, value, told)
        assert len(told) < 1000


@pytest.mark.parametrize("protocol", BODIES)
def test_bodies(clients: Callable[[str], tuple[TestClient, str]], protocol: str) -> None:
    """Nor is what is no JSON, no UTF-8, or too deep, a failure of the server's."""
    toy, path, body = BODIES[protocol]
    client, name = clients(toy)
    text = json.dumps(body)
    for content in (
        b"", b"\0", b"{", b"null", b"\xff", b"\xed\xa0\x80", text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode(),
        text.encode() * 2, text.encode()[:-1] + b"," + text.encode()[1:], b"[" * 5000 + b"]" * 5000,
        b'{"inputs":' * 3000 + b"1" + b"}" * 3000, b'{"inputs": ' + b"9" * 5000 + b"}", b'"' + b"\\u0000" * 2000 + b'"',
    ):  # fmt: skip
        response = client.post(path.format(name=name), content=content, headers=JSON)
        assert response.status_code in (200, 400, 413, 415, 422), (content[:80], response.text)
        assert response.status_code == 200 or problem(response)


@pytest.mark.parametrize("header", ["Request-Timeout", "X-Request-Timeout", "Inference-Header-Content-Length"])
@pytest.mark.parametrize(
    "value", ["", " ", "-1", "0", "5e-324", "1e-9", "1e400", "nan", "-inf", "9" * 400, "é", "1_0", "٣"]
)
def test_headers(clients: Callable[[str], tuple[TestClient, str]], header: str, value: str) -> None:
    """A header's value is used, or refused by the header's name."""
    client, name = clients("text-classification")
    _, path, body = BODIES["tensors"]
    headers = [(header.encode(), value.encode()), (b"X-Request-ID", value.encode())]
    response = client.post(path.format(name=name), json=body, headers=headers)
    assert response.status_code < 500, response.text
    assert response.status_code == 200 or header.lower() in problem(response).lower()


@pytest.mark.parametrize("value", VALUES)
def test_a_model_that_is_asked_by_name(value: Any) -> None:
    """Only a text can be a model's name."""
    name = requested_model(json.dumps({"model": value, "input": "a"}).encode())
    assert name == (value if isinstance(value, str) else "")
