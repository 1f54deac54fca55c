"""Accuracy and size, measured again on the bundles."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.figures import Figure
from bench.subject import VARIANTS, Subject
from serving.bundle.bundle import Bundle


def measure_accuracy(subject: Subject) -> list[Figure]:
    served = {variant: _percent_equal(subject.answers(variant), subject.truth) for variant in VARIANTS}
    trained = 100 * float(subject.run.read_record()["metrics"]["test"]["accuracy"])
    agreement = _percent_equal(subject.answers("int8"), subject.answers("fp32"))
    return [
        Figure("test accuracy, trained", trained, "%", note="run.json: the torch checkpoint"),
        Figure("test accuracy, served fp32", served["fp32"], "%"),
        Figure("test accuracy, served int8", served["int8"], "%"),
        Figure("accuracy that int8 loses", served["fp32"] - served["int8"], "points"),
        Figure("labels equal, int8 and fp32", agreement, "%"),
        *(_difference_from_proof(subject, variant, served[variant]) for variant in VARIANTS),
    ]


def measure_size(subject: Subject) -> list[Figure]:
    sizes = {name: sum(path.stat().st_size for path in subject.bundles[name].iterdir()) for name in VARIANTS}
    return [Figure(f"bundle, {variant}", size / 1e6, "MB") for variant, size in sizes.items()]


def _difference_from_proof(subject: Subject, variant: str, measured: float) -> Figure:
    recorded = 100 * float(json.loads(Bundle.open(subject.bundles[variant]).read("parity.json"))["score"])
    note = f"parity.json says {recorded:.4f} %, measured again {measured:.4f} %"
    difference = round(abs(measured - recorded), 9)
    return Figure(f"{variant}: differs from its proof by", difference, "points", correct=0.0, note=note)


def _percent_equal(left: Sequence[str], right: Sequence[str]) -> float:
    return 100 * sum(a == b for a, b in zip(left, right, strict=True)) / len(left)
