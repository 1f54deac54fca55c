"""Every task's answers in a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from serving.inference.predictor import Predictor
from tests.batch.predicting import predict_file
from tests.toys import GENERATING_TOYS, TOYS


@pytest.mark.slow
@pytest.mark.parametrize("toy", [*TOYS, *GENERATING_TOYS])
def test_answers_have_types(task_bundle: Callable[[str], Path], tmp_path: Path, toy: str) -> None:
    """Parquet gives the values that JSON lines give: no key of an answer is lost, and none is a text of JSON."""
    predictor = Predictor.open(task_bundle(toy))
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"inputs": row.inputs}) + "\n" for row in predictor.bundle.golden))
    predict_file(predictor, source, tmp_path / "out.jsonl")
    predict_file(predictor, source, tmp_path / "out.parquet")
    lines = [json.loads(line).get("outputs") for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert pq.read_table(tmp_path / "out.parquet")["outputs"].to_pylist() == lines
    assert any(lines)
