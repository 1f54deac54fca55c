"""The tiny classifier, loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.inference.predictor import Predictor


@pytest.fixture(scope="session")
def predictor(tiny_bundle: Path) -> Predictor:
    """The fp32 bundle, loaded."""
    return Predictor.open(tiny_bundle)


@pytest.fixture(scope="session")
def texts(tiny_bundle: Path) -> list[str]:
    """Texts of very different lengths, some that are truncated, deliberately unsorted."""
    rows = [json.loads(line)["inputs"] for line in (tiny_bundle / "golden.jsonl").read_bytes().splitlines()]
    return [text for pair in zip(rows, (row * 7 for row in reversed(rows)), strict=True) for text in pair]


@pytest.fixture(scope="session")
def int8_predictor(tiny_int8_bundle: Path) -> Predictor:
    """The int8 bundle, loaded."""
    return Predictor.open(tiny_int8_bundle)
