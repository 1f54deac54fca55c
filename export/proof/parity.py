"""What a proof found: its gates and its figures, as ``parity.json`` keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Gate:
    """One condition of the proof, what was measured and what is accepted."""

    name: str
    passed: bool
    measured: float
    accepted: str


@dataclass(frozen=True)
class Parity:
    """Every figure of a proof; ``parity.json`` is this. Rows are those of the test set, inputs what they ask."""

    variant: str
    rows: int
    hard_inputs: int
    compared: int = field(metadata={"means": "inputs of the rows, and hard inputs"})
    gates: list[Gate]
    token_ids_equal: int
    answers_equal: int
    metric: str
    score: float
    reference_score: float
    max_abs_logit_difference: float
    mean_abs_logit_difference: float
    max_abs_logit_difference_alone: float
    worst_rows: list[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether every gate holds."""
        return all(gate.passed for gate in self.gates)

    @property
    def failures(self) -> list[str]:
        """One readable line for each gate that does not hold."""
        return [
            f"{gate.name}: measured {gate.measured:.6g}, accepted {gate.accepted}"
            for gate in self.gates
            if not gate.passed
        ]
