"""The fastest variant that holds: each is made, proven and timed on this machine, and what fails a gate is dropped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.proof.parity import Parity
from export.variants.registry import FP32, variants_for
from export.variants.speed import Pace, pace_of
from export.variants.static import AGREEMENT, agreement, agrees
from export.variants.variant import Variant
from export.workshop import Made, Workshop
from serving.errors import BundleError, InputError


@dataclass(frozen=True)
class Candidate:
    """One variant, and what came of it.

    Attributes:
        made, size, parity, pace: None as far as it did not get; ``size`` is the graphs' bytes.
        reason: why it is not to be served; empty where it may be.
    """

    variant: Variant
    made: Made | None = None
    size: int | None = None
    parity: Parity | None = None
    pace: Pace | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Every figure of it."""
        parity, made = self.parity, self.made
        return {
            "variant": self.variant.name,
            "about": self.variant.about,
            "holds": not self.reason,
            "reason": self.reason,
            "bytes": self.size,
            "speed": dataclasses.asdict(self.pace) if self.pace else None,
            "answers_equal": parity.answers_equal if parity else None,
            "compared": parity.compared if parity else None,
            "score": parity.score if parity else None,
            "reference_score": parity.reference_score if parity else None,
            "row_independent": self.variant.row_independent,
            "facts": made.facts if made else {},
        }


def search(workshop: Workshop, folder: Path, generates: bool, tell: Callable[[str], None]) -> list[Candidate]:
    """Try every variant that this model can be written as, fp32 first, each in a folder of its own under ``folder``."""
    candidates: list[Candidate] = []
    variants = list(dict.fromkeys(each.name for each in variants_for(generates).values()))
    for at, name in enumerate(variants, 1):
        variant = next(each for each in variants_for(generates).values() if each.name == name)
        tell(f"variant {at} of {len(variants)}, {name}: converting, proving, timing…")
        candidates.append(_tried(workshop, variant, folder / name, candidates))
    return candidates


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """The fastest that holds; fp32 itself where nothing that holds is faster, or where fp32 alone was tried."""
    return max(candidates, key=lambda each: 0.0 if each.reason or not each.pace else each.pace.ratio)


def record_of(candidates: Sequence[Candidate], chosen: Candidate) -> dict[str, Any]:
    """What ``variants.json`` holds."""
    return {
        "chosen": chosen.variant.name,
        "asked": f"every gate of the proof, and at least {AGREEMENT:.0%} of the answers equal to the checkpoint's",
        "speed": "items a second on one thread, and how many times fp32's, by turns; medians",
        "candidates": [each.to_json() for each in candidates],
    }


def _tried(workshop: Workshop, variant: Variant, folder: Path, before: Sequence[Candidate]) -> Candidate:
    folder.mkdir()
    try:
        made = workshop.make(variant, folder)
        parity = workshop.prove(made, workshop.predictor(made))
    except (InputError, BundleError) as error:
        return Candidate(variant, reason=str(error).splitlines()[0])
    pace = _pace(workshop, made, before)
    return Candidate(variant, made, made.size, parity, pace, _reason(parity))


def _pace(workshop: Workshop, made: Made, before: Sequence[Candidate]) -> Pace:
    baseline = next((each.made for each in before if each.variant is FP32 and each.made), made)
    items = workshop.expected.items[: sum(workshop.expected.counts)]
    return pace_of(workshop.predictor(made, threads=1), workshop.predictor(baseline, threads=1), items)


def _reason(parity: Parity) -> str:
    if not parity.passed:
        return "; ".join(parity.failures)
    if not agrees(parity):
        return f"{agreement(parity):.2%} of the answers are the checkpoint's, and {AGREEMENT:.0%} are asked"
    return ""
