"""Tables that predict answers, as JSON lines."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from trainer.data.prediction_rows import as_json_lines


def lines(path: Path, content: str | bytes) -> list[Any]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with as_json_lines(path) as found:
        return [json.loads(line) for line in found.read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "id,text\n7,a\n", [{"inputs": "a", "id": "7"}]),
        ("a.csv.gz", gzip.compress(b"text;label\na;x\n", mtime=0), [{"inputs": "a", "label": "x"}]),
        ("a.json", '[{"text": "a", "text_pair": "b"}]', [{"inputs": {"text": "a", "text_pair": "b"}}]),
        ("a.json", '[{"inputs": "a", "score": NaN}]', [{"inputs": "a", "score": None}]),
        ("a.tsv", "question\tcontext\nq\tc\n", [{"inputs": {"question": "q", "context": "c"}}]),
        ("a.jsonl", '{"inputs": "a"}\n', [{"inputs": "a"}]),
        ("rows", '{"inputs": "a"}\n', [{"inputs": "a"}]),
    ],
)
def test_forms(tmp_path: Path, name: str, content: str | bytes, expected: list[Any]) -> None:
    """The columns that a task takes are a row's inputs; the others stay beside them."""
    assert lines(tmp_path / name, content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("body\na\n", "a.csv: no column of inputs; accepted are inputs; question and context; text and"),
        ("text,label\na\n", "a.csv, line 2: has 1 field"),
    ],
)
def test_refused(tmp_path: Path, content: str, expected: str) -> None:
    """What cannot be answered is told before a model runs."""
    with pytest.raises(InputError, match=expected):
        lines(tmp_path / "a.csv", content)
