"""Accuracy as trained and as served, asked of the predictor anew and compared with what the proof recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bench.figures import Asked, Figure
from bench.subject import VARIANTS, Subject
from serving.bundle.bundle import Bundle

ASKED_ACCURACY = Asked("≥", 93.2)
ASKED_LOSS = Asked("≤", 0.5)
ASKED_SIZE = Asked("≤", 30.0)


def measure_accuracy(subject: Subject) -> list[Figure]:
    """Test accuracy as trained and as served, what int8 loses, and how far the labels agree."""
    served = {variant: _percent_equal(subject.answers(variant), subject.truth) for variant in VARIANTS}
    trained = 100 * float(subject.run.read_record()["metrics"]["test"]["accuracy"])
    agreement = _percent_equal(subject.answers("int8"), subject.answers("fp32"))
    return [
        Figure("test accuracy, trained", trained, "%", ASKED_ACCURACY, note="run.json: the torch checkpoint"),
        Figure("test accuracy, served fp32", served["fp32"], "%", ASKED_ACCURACY),
        Figure("test accuracy, served int8", served["int8"], "%"),
        Figure("accuracy that int8 loses", served["fp32"] - served["int8"], "points", ASKED_LOSS),
        Figure("labels equal, int8 and fp32", agreement, "%"),
        *(_against_proof(subject, variant, served[variant]) for variant in VARIANTS),
    ]


def measure_size(subject: Subject) -> list[Figure]:
    """Bytes of each bundle's folder, in millions."""
    asked = {"int8": ASKED_SIZE}
    return [
        Figure(f"bundle, {variant}", _megabytes(subject, variant), "MB", asked.get(variant)) for variant in VARIANTS
    ]


def _against_proof(subject: Subject, variant: str, measured: float) -> Figure:
    recorded = 100 * float(_parity(subject, variant)["score"])
    note = f"parity.json says {recorded:.4f} %, measured again {measured:.4f} %"
    return Figure(
        f"{variant}: differs from its proof by",
        round(abs(measured - recorded), 9),
        "points",
        Asked("≤", 0.0),
        note=note,
    )


def _parity(subject: Subject, variant: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Bundle.open(subject.bundles[variant]).read("parity.json"))
    return content


def _percent_equal(left: Sequence[str], right: Sequence[str]) -> float:
    return 100 * sum(a == b for a, b in zip(left, right, strict=True)) / len(left)


def _megabytes(subject: Subject, variant: str) -> float:
    return sum(path.stat().st_size for path in subject.bundles[variant].iterdir()) / 1e6
