"""Finds the fastest variant that passes: times and judges each, then proves from the fastest on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.proof.answers.progress import begin_step
from export.proof.prove import Judgement, Parity
from export.selection.speed import CLEARLY_FASTER, ROUNDS, Pace, measure_pace
from export.variants.registry import Variant, variants_for
from export.workspace import BuiltVariant, Workspace
from serving.errors import UserError

MOST_PROVEN = 2
"""Variants that may reach the test rows. They share the level of the metric's test."""


@dataclass(frozen=True)
class Candidate:
    """None for results that were not reached.

    Attributes:
        reason: why it may not serve; empty if it may.
        slower: the reason is its speed.
    """

    variant: Variant
    built: BuiltVariant | None = None
    judgement: Judgement | None = None
    pace: Pace | None = None
    parity: Parity | None = None
    reason: str = ""
    slower: bool = False

    @property
    def size(self) -> int | None:
        return self.built.size if self.built else None

    @property
    def megabytes(self) -> float:
        return (self.size or 0) / 1e6

    @property
    def result(self) -> Judgement | None:
        """On test rows if proven, else on validation rows."""
        return self.parity or self.judgement

    @property
    def ratio(self) -> float:
        return self.pace.ratio if self.pace else 0.0

    def to_json(self) -> dict[str, Any]:
        result = self.result
        return {
            "variant": self.variant.name,
            "about": self.variant.about,
            "proven": self.parity is not None,
            "holds": self.parity is not None and not self.reason,
            "reason": self.reason,
            "bytes": self.size,
            "speed": dataclasses.asdict(self.pace) if self.pace else None,
            **{name: getattr(result, name, None) for name in ("answers_equal", "compared", "score", "reference_score")},
            "level": self.parity.change.level if self.parity and self.parity.change else None,
            "rows": ("test" if self.parity else "validation") if result else None,
            "row_independent": self.variant.row_independent,
            "facts": self.built.facts if self.built else {},
        }


def search_variants(workspace: Workspace, folder: Path, generates: bool) -> list[Candidate]:
    """Try every variant of this model. The result starts with fp32, and has nothing else if that fails."""
    exact, *others = {each.name: each for each in variants_for(generates, workspace.provider).values()}.values()
    begin_step(f"{exact.name}: converting, proving, timing…")
    fp32 = _prove_candidate(workspace, _build_candidate(workspace, exact, folder / exact.name))
    if fp32.reason or fp32.built is None:
        return [fp32]
    fp32 = dataclasses.replace(fp32, pace=_measure_pace(workspace, fp32.built, None))
    candidates = []
    for number, variant in enumerate(others, 2):
        begin_step(f"variant {number} of {len(others) + 1}, {variant.name}: converting, timing, judging…")
        candidates.append(_try_variant(workspace, variant, folder / variant.name, fp32))
    return [fp32, *_prove_until_passed(workspace, candidates)]


def select_best(candidates: Sequence[Candidate]) -> Candidate:
    """The first, fp32, if no other is faster."""
    return max(candidates, key=lambda each: 0.0 if each.reason else each.ratio)


def to_record(candidates: Sequence[Candidate], selected: Candidate) -> dict[str, Any]:
    """The content of ``variants.json``."""
    return {
        "chosen": selected.variant.name,
        "asked": f"every gate of the proof and, at the lower end of the interval, {CLEARLY_FASTER} × the speed of fp32",
        "speed": "items per second of CPU time on one core, and relative to fp32; medians of alternating rounds, "
        f"with the 96 % interval of {ROUNDS}; fewer rounds, with their range, where that is not reached",
        "candidates": [each.to_json() for each in candidates],
    }


def _build_candidate(workspace: Workspace, variant: Variant, folder: Path) -> Candidate:
    folder.mkdir()
    try:
        return Candidate(variant, workspace.build(variant, folder))
    except UserError as error:
        return Candidate(variant, reason=_first_line(error))


def _try_variant(workspace: Workspace, variant: Variant, folder: Path, fp32: Candidate) -> Candidate:
    """Timed and, if it is clearly faster, judged on validation rows."""
    candidate = _build_candidate(workspace, variant, folder)
    if candidate.built is None:
        return candidate
    pace = _measure_pace(workspace, candidate.built, fp32.built)
    if not pace.clearly_faster:
        low = f"{pace.interval[0]:.2f} × at least, {CLEARLY_FASTER} required"
        reason = f"not clearly faster than fp32: {low}; not judged"
        return dataclasses.replace(candidate, pace=pace, reason=reason, slower=True)
    try:
        built = workspace.calibrate(candidate.built)
        candidate, judgement = dataclasses.replace(candidate, built=built), workspace.judge(built)
    except UserError as error:
        return dataclasses.replace(candidate, pace=pace, reason=_first_line(error))
    return dataclasses.replace(candidate, pace=pace, judgement=judgement, reason="; ".join(judgement.failures))


def _measure_pace(workspace: Workspace, built: BuiltVariant, fp32: BuiltVariant | None) -> Pace:
    baseline = workspace.create_predictor(fp32) if fp32 else None
    return measure_pace(workspace.create_predictor(built), baseline, workspace.reference.row_items)


def _prove_until_passed(workspace: Workspace, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The fastest first. Returns them in their order.

    Which variants may reach the test rows is settled before any does, so that Bonferroni's correction holds: if all of
    them lose more than the budget, one passes with a probability of LEVEL at most.
    """
    eligible = sorted((each for each in candidates if not each.reason), key=lambda each: -each.ratio)[:MOST_PROVEN]
    proven, best = dict[str, Candidate](), None
    for each in eligible:
        if best is None:
            begin_step(f"{each.variant.name}: proving on the test rows…")
            proven[each.variant.name] = each = _prove_candidate(workspace, each, len(eligible))
            best = None if each.reason else each
    return [proven.get(each.variant.name) or _not_proven(each, best) for each in candidates]


def _not_proven(candidate: Candidate, best: Candidate | None) -> Candidate:
    if candidate.reason:
        return candidate
    faster = f"slower than {best.variant.name}" if best else f"slower than the {MOST_PROVEN} that were"
    return dataclasses.replace(candidate, reason=f"{faster}; not proven", slower=True)


def _prove_candidate(workspace: Workspace, candidate: Candidate, tried: int = 1) -> Candidate:
    """``tried``: variants that share the level of the metric's test."""
    if candidate.built is None:
        return candidate
    try:
        parity = workspace.prove(candidate.built, tried)
    except UserError as error:
        return dataclasses.replace(candidate, reason=_first_line(error))
    return dataclasses.replace(candidate, parity=parity, reason="; ".join(parity.failures))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
