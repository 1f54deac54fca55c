"""The request body: what is accepted, and the errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError, InputTooLarge, MalformedInput
from serving.protocols.hugging_face import parse
from serving.tasks import task_of
from serving.tasks.text_classification import TextClassification, TextClassificationParameters
from tests.bundles import manifest_of, with_limits


@pytest.fixture(scope="module")
def strict_task(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> TextClassification:
    """The task with small limits: 4 texts, 20 characters, 200 bytes."""
    folder = tmp_path_factory.mktemp("strict")
    bundle = with_limits(tiny_bundle, folder / "bundle", max_inputs=4, max_characters=20, max_body_bytes=200)
    return task_of(manifest_of(bundle))


def body(content: Any) -> bytes:
    """JSON as clients send it."""
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("content", "texts", "parameters"),
    [
        ({"inputs": "a text"}, ["a text"], TextClassificationParameters()),
        ({"inputs": {"text": "a text"}}, ["a text"], TextClassificationParameters()),
        ({"inputs": ["one", "two"]}, ["one", "two"], TextClassificationParameters()),
        ({"inputs": "x", "parameters": None}, ["x"], TextClassificationParameters()),
        ({"inputs": "x", "parameters": {}}, ["x"], TextClassificationParameters()),
        ({"inputs": "x", "parameters": {"top_k": 2}}, ["x"], TextClassificationParameters(top_k=2)),
        ({"inputs": "x", "parameters": {"top_k": None}}, ["x"], TextClassificationParameters()),
        (
            {"parameters": {"function_to_apply": "sigmoid"}, "inputs": ["x"]},
            ["x"],
            TextClassificationParameters(function_to_apply="sigmoid"),
        ),
    ],
)
def test_accepted(
    task: TextClassification, content: Any, texts: list[str], parameters: TextClassificationParameters
) -> None:
    """One text or a list, with parameters or without, as in Hugging Face's inference API."""
    request = parse(body(content), task)
    assert request.items == texts
    assert request.lone == (not isinstance(content["inputs"], list))
    assert request.parameters == parameters


@pytest.mark.parametrize(("before", "after"), [(b"\xef\xbb\xbf", b""), (b"\r\n ", b"\n\n")])
def test_around(task: TextClassification, before: bytes, after: bytes) -> None:
    """A byte order mark, as Windows' tools write, and white space around the JSON."""
    assert parse(before + body({"inputs": "a"}) + after, task).items == ["a"]


def test_utf8(task: TextClassification) -> None:
    """Text outside ASCII may be escaped or not."""
    plain = json.dumps({"inputs": "我的卡 👍🏽"}, ensure_ascii=False).encode()
    assert parse(plain, task) == parse(body({"inputs": "我的卡 👍🏽"}), task)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the body is not valid JSON: Expecting value"),
        (b"hello", "the body is not valid JSON"),
        (b'{"inputs": "a"', "the body is not valid JSON"),
        (b"inputs=a", "the body is not valid JSON"),
        (b'{"inputs": "a"} trailing', "the body is not valid JSON: Extra data"),
        (b"{'inputs': 'a'}", "the body is not valid JSON"),
        (b'{"inputs": "a"}\0', "the body is not valid JSON: Extra data: .*; it ends with a NUL byte"),
        (b'{"inputs": "\xe9"}', "the body is not UTF-8: byte 12 is 0xe9"),
        ('{"inputs": "a"}'.encode("utf-16"), "the body is not UTF-8: it is UTF-16"),
        ('{"inputs": "a"}'.encode("utf-16-be"), "the body is not valid JSON: .*; it looks like UTF-16, and UTF-8 is"),
        ('{"inputs": "a"}'.encode("utf-32"), "the body is not UTF-8: it is UTF-32"),
        (b"[" * 10_000, "the body is not valid JSON"),
        (b'{"inputs":' * 5_000, "the body is not valid JSON"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", "the body is not valid JSON"),
    ],
    ids=range(14),
)
def test_malformed(task: TextClassification, raw: bytes, message: str) -> None:
    """The error of a malformed body says where it stops being UTF-8 or JSON."""
    with pytest.raises(MalformedInput, match=f"^{message}"):
        parse(raw, task)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "the body has no `inputs`; send"),
        ("text", "the body has no `inputs`"),
        (None, "the body has no `inputs`"),
        (7, "the body has no `inputs`"),
        ({}, "the body has no `inputs`"),
        ({"text": "a"}, "the body has no `inputs`"),
        ({"inputs": "a", "option": {}}, "unknown key 'option'; accepted are `inputs`, `parameters` and `options`"),
        ({"examples": ["a"]}, "the body has no `inputs`, but 'examples'; send"),
        ({"inputs": "a", "stream": True}, "stream is accepted as false only; /v1/completions streams"),
        ({"inputs": "a", "\ud800": 1}, r"the key '\\ud800' of the body holds a lone surrogate"),
        ({"inputs": []}, "`inputs` is an empty list; send at least one text"),
        ({"inputs": None}, "inputs must be a text, found null"),
        ({"inputs": {"texts": "a"}}, "inputs must be a text, found an object"),
        ({"inputs": {"text": "a", "text_pair": "b"}}, "inputs is a pair, and this model reads single texts"),
        ({"inputs": {"text": ""}}, r"inputs\.text is empty"),
        ({"inputs": ["a", {"text": 1}]}, r"inputs\[1\]\.text must be a text, found a number"),
        ({"inputs": 5}, "inputs must be a text, found a number"),
        ({"inputs": float("nan")}, "inputs must be a text, found a number"),
        ({"inputs": ""}, "inputs is empty"),
        ({"inputs": ["a", "b", "c", 4]}, r"inputs\[3\] must be a text, found a number"),
        ({"inputs": ["a", ["b"]]}, r"inputs\[1\] must be a text, found a list"),
        ({"inputs": ["a", " "]}, r"inputs\[1\] is empty"),
        ({"inputs": ["\ud83d"]}, r"inputs\[0\] holds a lone surrogate"),
        ({"inputs": "a", "parameters": {"top_k": 0}}, r"parameters\.top_k: .*greater than or equal to 1"),
        ({"inputs": "a", "parameters": {"top_k": "two"}}, r"parameters\.top_k: "),
        ({"inputs": "a", "parameters": {"top_k": 1.5}}, r"parameters\.top_k: "),
        (
            {"inputs": "a", "parameters": {"max_len": 5}},
            r"parameters\.max_len: .*; accepted parameters: truncate, truncation_direction, max_length, top_k",
        ),
        (
            {"inputs": "a", "parameters": {"function_to_apply": "relu"}},
            r"parameters\.function_to_apply: .*'softmax', 'sigmoid' or 'none'",
        ),
        ({"inputs": "a", "parameters": "top_k"}, "parameters: "),
        ({"inputs": "a", "parameters": [1]}, "parameters: "),
        ({"inputs": "a", "parameters": []}, "parameters: "),
        ({"inputs": "a", "parameters": ""}, "parameters: "),
        ({"inputs": "a", "parameters": 0}, "parameters: "),
        ({"inputs": "a", "parameters": False}, "parameters: "),
    ],
)
def test_refused(task: TextClassification, content: Any, message: str) -> None:
    """The error of a wrong body says which part, what was found and what is accepted."""
    with pytest.raises(InputError, match=f"^{message}") as caught:
        parse(body(content), task)
    assert type(caught.value) is InputError
    assert caught.value.field


@pytest.mark.parametrize(
    "content", [{"inputs": "a", "x" * 100_000: 1}, {"inputs": "a", "parameters": {"x" * 100_000: 1}}]
)
def test_long_keys(task: TextClassification, content: Any) -> None:
    """The error shortens a long unknown key."""
    with pytest.raises(InputError, match="xxxx") as caught:
        parse(body(content), task)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"inputs": ["a"] * 5}, "`inputs` holds 5 texts; a request may hold 4"),
        ({"inputs": ["a", "b" * 21]}, r"inputs\[1\] has 21 characters; at most 20 are accepted"),
        ({"inputs": "b" * 300}, "the body has 314 bytes; at most 200 are accepted"),
    ],
)
def test_too_large(strict_task: TextClassification, content: Any, message: str) -> None:
    """The error of an exceeded limit has both numbers."""
    with pytest.raises(InputTooLarge, match=f"^{message}$"):
        parse(body(content), strict_task)


def test_at_the_limits(strict_task: TextClassification) -> None:
    """Values at the limits are accepted."""
    texts = ["b" * 20] * 4
    assert parse(body({"inputs": texts}).ljust(200), strict_task).items == texts


def test_printable(task: TextClassification) -> None:
    """Every error message can be encoded as UTF-8."""
    for content in (
        {"inputs": "a", "\ud800": 1},
        {"inputs": "a", "parameters": {"\ud800": 1}},
        {"inputs": "a", "parameters": {"function_to_apply": "\ud800"}},
    ):
        with pytest.raises(InputError) as caught:
            parse(body(content), task)
        assert str(caught.value).encode()
