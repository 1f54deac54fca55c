"""A body's JSON is bounded in what it costs to read, and holds no half characters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle.manifest import Limits
from serving.errors import InputError, InputTooLarge
from serving.protocols.json_body import MAX_VALUES, count_values, load_json
from serving.tasks.text_classification import TextClassification, TextClassificationSettings

TASK = TextClassification(["a", "b"], TextClassificationSettings(), Limits())
MOST = 4_194_304
TEXT = st.text(max_size=9) | st.text('\\"[]{},:', max_size=9)
CONTENT = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda part: st.lists(part, max_size=5) | st.dictionaries(TEXT, part, max_size=5),
    max_leaves=20,
)


def values(content: Any) -> int:
    """How many there are, containers included."""
    if isinstance(content, dict):
        return 1 + sum(map(values, content.values()))
    return 1 + sum(map(values, content)) if isinstance(content, list) else 1


@pytest.mark.slow
@given(content=CONTENT, ascii_=st.booleans())
def test_values_are_counted(content: Any, ascii_: bool) -> None:
    """Without building them: never fewer than there are, and none of what stands in a text."""
    padded = json.dumps(content, ensure_ascii=ascii_).encode().ljust(2000)
    assert values(content) <= count_values(padded, 1000) <= 2 * values(content)
    assert count_values(json.dumps(json.dumps(content)).encode(), 1) == 1


@pytest.mark.parametrize("part", ["1,", "{},", "[],", '"",', '{"":1},', "[", '{"":', '"a":1,'])
def test_millions_of_values(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused before they are built."""
    body = b"[" + part.encode() * ((MOST - 2) // len(part))
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("the values are built"))
    with pytest.raises(InputTooLarge, match="the body holds more than 18,432 JSON values"):
        load_json(body, TASK)


@pytest.mark.parametrize("text", ["a, [b] {c} \\ " * 200_000, '"' * 2_000_000, "\\" * 2_000_000, ",[{" * 900_000])
def test_a_long_text(text: str) -> None:
    """What stands in a text is no value."""
    assert load_json(json.dumps({"inputs": text}).encode(), TASK) == {"inputs": text}


def test_as_many_as_inputs_need() -> None:
    """The most inputs, each an object with many keys, are read."""
    rows = [{f"key {key}": row for key in range(15)} for row in range(MAX_VALUES // 16)]
    assert load_json(json.dumps(rows).encode(), TASK) == rows


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("\ud800", "the body"),
        ({"id": "\ud800"}, "id"),
        ({"model": "a\udfff"}, "model"),
        ({"parameters": {"stop": ["a", "\udc00b"]}}, r"parameters\.stop\[1\]"),
        ({"inputs": [{"text": "\ud83d"}]}, r"inputs\[0\]\.text"),
        ({"\ud800": 1}, r"the key '\\ud800' of the body"),
        ({"parameters": {"\ud800": 1}}, r"the key '\\ud800' of parameters"),
    ],
)
def test_lone_surrogates(content: Any, field: str) -> None:
    """Half of a character is named, wherever it stands."""
    with pytest.raises(InputError, match=f"^{field} holds a lone surrogate") as caught:
        load_json(json.dumps(content).encode(), TASK)
    assert caught.value.field


def test_pairs_of_surrogates() -> None:
    """Whole characters are read, escaped or not, and so is what only looks like an escape."""
    content = {"inputs": ["👍🏽", "\\ud800"], "👍": 1}
    for ascii_ in (True, False):
        assert load_json(json.dumps(content, ensure_ascii=ascii_).encode(), TASK) == content
