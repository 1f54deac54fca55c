"""The fastest variant that holds.

Each is made, judged on validation rows and timed on this machine. The whole proof, on the test rows, is then asked of
the fastest first, and of the next only where that fails: what is slower than the choice need not be proven.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.proof.judge import AGREEMENT, Judgement, agreement, agrees
from export.proof.parity import Parity
from export.selection.speed import Pace, pace_of
from export.variants.registry import FP32, variants_for
from export.variants.variant import Variant
from export.workspace import BuiltVariant, Workspace
from serving.errors import UserError


@dataclass(frozen=True)
class Candidate:
    """One variant, and what came of it.

    Attributes:
        made, size, judged, pace, parity: None as far as it did not get; ``size`` is the graphs' bytes.
        reason: why it is not served; empty where it may be.
        slower: the reason is that another, proven one is as fast or faster.
    """

    variant: Variant
    made: BuiltVariant | None = None
    size: int | None = None
    judged: Judgement | None = None
    pace: Pace | None = None
    parity: Parity | None = None
    reason: str = ""
    slower: bool = False

    @property
    def found(self) -> Parity | Judgement | None:
        """How good its answers are: on the test rows where it was proven, else on validation rows."""
        return self.parity or self.judged

    def to_json(self) -> dict[str, Any]:
        """Every figure of it."""
        found, made = self.found, self.made
        return {
            "variant": self.variant.name,
            "about": self.variant.about,
            "proven": self.parity is not None,
            "holds": self.parity is not None and not self.reason,
            "reason": self.reason,
            "bytes": self.size,
            "speed": dataclasses.asdict(self.pace) if self.pace else None,
            "answers_equal": found.answers_equal if found else None,
            "compared": found.compared if found else None,
            "score": found.score if found else None,
            "reference_score": found.reference_score if found else None,
            "rows": ("test" if self.parity else "validation") if found else None,
            "row_independent": self.variant.row_independent,
            "facts": made.facts if made else {},
        }


def search(workspace: Workspace, folder: Path, generates: bool, on_step: Callable[[str], None]) -> list[Candidate]:
    """Try every variant that this model can be written as, each in a folder of its own under ``folder``.

    fp32 is first; where that does not hold, it is the only one.
    """
    exact, *others = {each.name: each for each in variants_for(generates).values()}.values()
    on_step(f"{exact.name}: converting, proving, timing…")
    fp32 = _with_proof(workspace, _tried(workspace, exact, folder / exact.name, None, judged=False))
    if fp32.reason:
        return [fp32]
    found = []
    for at, variant in enumerate(others, 2):
        on_step(f"variant {at} of {len(others) + 1}, {variant.name}: converting, judging, timing…")
        found.append(_tried(workspace, variant, folder / variant.name, fp32.made, judged=not generates))
    return [fp32, *_proven(workspace, fp32, found, on_step)]


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """The fastest that holds; fp32 itself where nothing that holds is faster, or where fp32 alone was tried."""
    return max(candidates, key=lambda each: 0.0 if each.reason else _ratio(each))


def record_of(candidates: Sequence[Candidate], chosen: Candidate) -> dict[str, Any]:
    """What ``variants.json`` holds."""
    return {
        "chosen": chosen.variant.name,
        "asked": f"every gate of the proof, and at least {AGREEMENT:.0%} of the answers equal to the checkpoint's",
        "speed": "items a second of one core's time, and how many times fp32's, by turns; medians",
        "candidates": [each.to_json() for each in candidates],
    }


def _tried(
    workspace: Workspace, variant: Variant, folder: Path, fp32: BuiltVariant | None, *, judged: bool
) -> Candidate:
    folder.mkdir()
    try:
        made = workspace.build(variant, folder)
        judgement = workspace.judge(made) if judged else None
    except UserError as error:
        return Candidate(variant, reason=_first_line(error))
    baseline = workspace.predictor(fp32, threads=1) if fp32 else None
    pace = pace_of(workspace.predictor(made, threads=1), baseline, workspace.expected.asked)
    return Candidate(variant, made, made.size, judgement, pace, reason=_too_far(judgement))


def _proven(
    workspace: Workspace, fp32: Candidate, others: Sequence[Candidate], on_step: Callable[[str], None]
) -> list[Candidate]:
    """The others in their order, proven from the fastest on until one holds; those left say why they are not."""
    found, chosen = dict[str, Candidate](), fp32
    for each in sorted(others, key=lambda each: -_ratio(each)):
        if each.reason:
            pass
        elif _ratio(each) > _ratio(chosen):
            on_step(f"{each.variant.name}: proving on the test rows…")
            each = _with_proof(workspace, each)
            chosen = chosen if each.reason else each
        else:
            reason = f"slower than {chosen.variant.name}; not proven"
            each = dataclasses.replace(each, reason=reason, slower=True)
        found[each.variant.name] = each
    return [found[each.variant.name] for each in others]


def _with_proof(workspace: Workspace, candidate: Candidate) -> Candidate:
    if candidate.made is None:
        return candidate
    try:
        parity = workspace.prove(candidate.made, workspace.predictor(candidate.made))
    except UserError as error:
        return dataclasses.replace(candidate, reason=_first_line(error))
    return dataclasses.replace(candidate, parity=parity, reason="; ".join(parity.failures) or _too_far(parity))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _ratio(candidate: Candidate) -> float:
    return candidate.pace.ratio if candidate.pace else 0.0


def _pace(workspace: Workspace, made: BuiltVariant, before: Sequence[Candidate]) -> Pace:
    baseline = next((each.made for each in before if each.variant is FP32 and each.made), made)
    items = workspace.expected.items[: sum(workspace.expected.counts)]
    return pace_of(workspace.predictor(made, threads=1), workspace.predictor(baseline, threads=1), items)


def _too_far(found: Parity | Judgement | None) -> str:
    if found is None or agrees(found):
        return ""
    return f"{agreement(found):.2%} of the answers are the checkpoint's, and {AGREEMENT:.0%} are asked"
