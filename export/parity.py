"""The proof: does what will be served answer as what was trained and evaluated?

The reference is independent (transformers' tokenizer, the torch checkpoint); the candidate is serving's own predictor
on the bundle's own files, with production settings. Every row of the evaluation set and every hard input is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from export.hard_inputs import HARD_INPUTS
from export.quantize import Variant
from export.reference import Reference
from serving.predictor import Predictor
from serving.tasks.text_classification import Logits

MAX_LOGIT_DIFFERENCE = 1e-4
"""The strict gate's bound: float32 rounding stays two orders of magnitude under it."""

ROWS_RUN_ALONE = 64
WORST_ROWS = 10


@dataclass(frozen=True)
class Gate:
    """One condition of the proof, what was measured and what is accepted."""

    name: str
    passed: bool
    measured: float
    accepted: str


@dataclass(frozen=True)
class Parity:
    """Every figure of a proof; ``parity.json`` is this."""

    variant: str
    rows: int
    hard_inputs: int
    gates: list[Gate]
    token_ids_equal: int
    labels_equal: int
    labels_lost: int = field(metadata={"means": "right by the reference, wrong as served"})
    labels_won: int = field(metadata={"means": "wrong by the reference, right as served"})
    accuracy: float
    reference_accuracy: float
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


@dataclass(frozen=True)
class _Answers:
    """Both sides' answers to the same texts: logits [texts, labels] and token ids."""

    texts: Sequence[str]
    reference: Logits
    served: Logits
    alone: Logits
    ids_equal: npt.NDArray[np.bool_]

    @property
    def differences(self) -> npt.NDArray[np.float32]:
        """The largest absolute logit difference of each text."""
        largest: npt.NDArray[np.float32] = np.abs(self.served - self.reference).max(axis=1)
        return largest


def prove(
    reference: Reference,
    predictor: Predictor,
    evaluation: Sequence[dict[str, Any]],
    variant: Variant,
    max_accuracy_drop: float,
) -> Parity:
    """Compare both sides on the evaluation rows (``inputs``, ``label``) and the hard inputs.

    Args:
        max_accuracy_drop: how much accuracy (a fraction) a variant that is not exact may lose.
    """
    texts = [row["inputs"] for row in evaluation]
    answers = _ask(reference, predictor, [*texts, *HARD_INPUTS])
    truth = np.array([reference.labels.index(row["label"]) for row in evaluation])
    right_before = answers.reference[: len(texts)].argmax(axis=1) == truth
    right_after = answers.served[: len(texts)].argmax(axis=1) == truth
    return Parity(
        variant=variant.name,
        rows=len(texts),
        hard_inputs=len(HARD_INPUTS),
        gates=_gates(answers, variant, float(right_before.mean() - right_after.mean()), max_accuracy_drop),
        token_ids_equal=int(answers.ids_equal.sum()),
        labels_equal=int(_same_label(answers).sum()),
        labels_lost=int((right_before & ~right_after).sum()),
        labels_won=int((~right_before & right_after).sum()),
        accuracy=float(right_after.mean()),
        reference_accuracy=float(right_before.mean()),
        max_abs_logit_difference=float(answers.differences.max()),
        mean_abs_logit_difference=float(np.abs(answers.served - answers.reference).mean()),
        max_abs_logit_difference_alone=_difference_alone(answers),
        worst_rows=_worst_rows(answers, reference.labels),
    )


def _ask(reference: Reference, predictor: Predictor, texts: Sequence[str]) -> _Answers:
    encodings = predictor.encode(texts)
    alone = [predictor.logits([encoding])[0] for encoding in encodings[-ROWS_RUN_ALONE:]]
    ids = zip(encodings, reference.token_ids(texts), strict=True)
    return _Answers(
        texts=texts,
        reference=reference.logits(texts),
        served=predictor.logits(encodings),
        alone=np.stack(alone),
        ids_equal=np.array([encoding.ids == expected for encoding, expected in ids]),
    )


def _gates(answers: _Answers, variant: Variant, drop: float, max_drop: float) -> list[Gate]:
    different_ids = int((~answers.ids_equal).sum())
    different_labels = int((~_same_label(answers)).sum())
    largest = float(answers.differences.max())
    alone = _difference_alone(answers)
    gates = [
        Gate("rows whose token ids differ", different_ids == 0, different_ids, "0"),
        Gate("logit change by batch neighbours", alone <= MAX_LOGIT_DIFFERENCE, alone, f"≤ {MAX_LOGIT_DIFFERENCE}"),
    ]
    if variant.exact:
        return [
            *gates,
            Gate("largest logit difference", largest <= MAX_LOGIT_DIFFERENCE, largest, f"≤ {MAX_LOGIT_DIFFERENCE}"),
            Gate("rows whose label differs", different_labels == 0, different_labels, "0"),
        ]
    return [*gates, Gate("accuracy lost", drop <= max_drop, drop, f"≤ {max_drop}")]


def _same_label(answers: _Answers) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = answers.reference.argmax(axis=1) == answers.served.argmax(axis=1)
    return same


def _difference_alone(answers: _Answers) -> float:
    return float(np.abs(answers.alone - answers.served[-len(answers.alone) :]).max())


def _worst_rows(answers: _Answers, labels: Sequence[str]) -> list[dict[str, Any]]:
    worst = np.argsort(-answers.differences, kind="stable")[:WORST_ROWS]
    return [
        {
            "row": int(row),
            "inputs": answers.texts[row][:200],
            "reference": labels[answers.reference[row].argmax()],
            "served": labels[answers.served[row].argmax()],
            "abs_logit_difference": float(answers.differences[row]),
        }
        for row in worst
    ]
