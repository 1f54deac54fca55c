"""A proof as it is shown in a terminal of 80 columns."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from export.console import parity_table
from export.proof.prove import Parity


def test_the_worst_rows_fit_a_terminal(faithful_parity: Parity) -> None:
    """Long inputs and answers are cut, the logits are not, and no line is wider than 80 columns."""
    long = {"decisions": ["a very long label " * 3] * 2, "inputs": "x" * 200}
    worst = [row | long for row in faithful_parity.worst_rows]
    text = io.StringIO()
    parity = dataclasses.replace(faithful_parity, answers_equal=0, worst_rows=worst)
    Console(file=text, width=80).print(parity_table(parity))
    lines = text.getvalue().splitlines()
    assert max(map(len, (line.rstrip() for line in lines))) <= 80
    assert any("logits" in line and "served" in line for line in lines)
