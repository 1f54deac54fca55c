"""Finds the fastest variant that passes: judges and times each, then proves from the fastest on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.proof.prove import Judgement, Parity
from export.selection.speed import Pace, measure_pace
from export.variants.registry import Variant, variants_for
from export.workspace import BuiltVariant, Workspace
from serving.errors import UserError


@dataclass(frozen=True)
class Candidate:
    """None for results that were not reached.

    Attributes:
        reason: why it may not serve; empty if it may.
        slower: the reason is a faster proven variant.
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
            "rows": ("test" if self.parity else "validation") if result else None,
            "row_independent": self.variant.row_independent,
            "facts": self.built.facts if self.built else {},
        }


def search_variants(
    workspace: Workspace, folder: Path, generates: bool, on_step: Callable[[str], None]
) -> list[Candidate]:
    """Try every variant of this model. The result starts with fp32, and has nothing else if that fails."""
    exact, *others = {each.name: each for each in variants_for(generates).values()}.values()
    on_step(f"{exact.name}: converting, proving, timing…")
    fp32 = _prove_candidate(workspace, _try_variant(workspace, exact, folder / exact.name, None, judged=False))
    if fp32.reason:
        return [fp32]
    candidates = []
    for number, variant in enumerate(others, 2):
        on_step(f"variant {number} of {len(others) + 1}, {variant.name}: converting, judging, timing…")
        candidates.append(_try_variant(workspace, variant, folder / variant.name, fp32.built, judged=not generates))
    return [fp32, *_prove_until_passed(workspace, fp32, candidates, on_step)]


def select_best(candidates: Sequence[Candidate]) -> Candidate:
    """The first, fp32, if no other is faster."""
    return max(candidates, key=lambda each: 0.0 if each.reason else each.ratio)


def to_record(candidates: Sequence[Candidate], selected: Candidate) -> dict[str, Any]:
    """The content of ``variants.json``."""
    return {
        "chosen": selected.variant.name,
        "asked": "every gate of the proof",
        "speed": "items per second of CPU time on one core, and relative to fp32; medians of alternating rounds",
        "candidates": [each.to_json() for each in candidates],
    }


def _try_variant(
    workspace: Workspace, variant: Variant, folder: Path, fp32: BuiltVariant | None, *, judged: bool
) -> Candidate:
    folder.mkdir()
    try:
        built = workspace.build(variant, folder)
        judgement = workspace.judge(built) if judged else None
    except UserError as error:
        return Candidate(variant, reason=_first_line(error))
    baseline = workspace.create_predictor(fp32, threads=1) if fp32 else None
    pace = measure_pace(workspace.create_predictor(built, threads=1), baseline, workspace.reference.row_items)
    return Candidate(variant, built, judgement, pace, reason="; ".join(judgement.failures) if judgement else "")


def _prove_until_passed(
    workspace: Workspace, fp32: Candidate, others: Sequence[Candidate], on_step: Callable[[str], None]
) -> list[Candidate]:
    """Returns the others in their order."""
    checked, best = dict[str, Candidate](), fp32
    for each in sorted(others, key=lambda each: -each.ratio):
        if not each.reason and each.ratio > best.ratio:
            on_step(f"{each.variant.name}: proving on the test rows…")
            each = _prove_candidate(workspace, each)
            best = best if each.reason else each
        elif not each.reason:
            reason = f"slower than {best.variant.name}; not proven"
            each = dataclasses.replace(each, reason=reason, slower=True)
        checked[each.variant.name] = each
    return [checked[each.variant.name] for each in others]


def _prove_candidate(workspace: Workspace, candidate: Candidate) -> Candidate:
    if candidate.built is None:
        return candidate
    try:
        parity = workspace.prove(candidate.built)
    except UserError as error:
        return dataclasses.replace(candidate, reason=_first_line(error))
    return dataclasses.replace(candidate, parity=parity, reason="; ".join(parity.failures))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
