"""What a proof found: its gates and its figures, as ``parity.json`` keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from export.proof.calibration import CalibrationDrift
from export.proof.gates import Gate
from export.proof.invariance import Invariance
from export.proof.statistics import Change, Flips
from export.proof.tokenizer import TokenizerComparison


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
    flips: Flips
    change: Change
    calibration: CalibrationDrift | None
    invariance: Invariance
    tokenizer: TokenizerComparison
    worst_rows: list[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether every gate holds."""
        return all(gate.passed for gate in self.gates)

    @property
    def failures(self) -> list[str]:
        """One readable line for each gate that does not hold."""
        return [gate.failure for gate in self.gates if not gate.passed]
