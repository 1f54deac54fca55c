"""A proof as it is shown in a terminal of 80 columns."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from export.console import parity_table
from export.proof.prove import prove
from export.proof.reference_answers import ReferenceAnswers
from export.variants.registry import FP32
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor


def test_the_worst_rows_fit_a_terminal(reference: ReferenceAnswers, tiny_bundle: object) -> None:
    """Long inputs and answers are cut, the logits are not, and no line is past 80 columns."""
    parity = prove(reference, Predictor(Bundle.open(tiny_bundle)), FP32)  # type: ignore[arg-type]
    worst = [row | {"decisions": ["a very long label " * 3] * 2, "inputs": "x" * 200} for row in parity.worst_rows]
    text = io.StringIO()
    Console(file=text, width=80).print(parity_table(dataclasses.replace(parity, answers_equal=0, worst_rows=worst)))
    lines = text.getvalue().splitlines()
    assert max(map(len, (line.rstrip() for line in lines))) <= 80
    assert any("logits" in line and "served" in line for line in lines)
