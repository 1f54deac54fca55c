"""What may serve: a variant of the run or of one of its students, what was measured of it, and why it may not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from export.proof.prove import Judgement, Parity
from export.selection.speed import CLEARLY_FASTER, ROUNDS, Pace
from export.variants.registry import Variant
from export.workspace import BuiltVariant, Workspace
from serving.errors import shorten

NAME_LENGTH = 20


@dataclass(frozen=True)
class Candidate:
    """None for results that were not reached.

    Attributes:
        student: whose variant it is; None: the run's own.
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
    student: Workspace | None = None

    @property
    def student_name(self) -> str | None:
        return self.student.run.root.resolve().name if self.student else None

    @property
    def name(self) -> str:
        """For tables and figures."""
        run = self.student_name
        return f"{shorten(run, NAME_LENGTH)}: {self.variant.name}" if run else self.variant.name

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

    @property
    def rank(self) -> float:
        """The highest serves. A student, which loses more than a variant does, must be clearly faster than that."""
        return self.ratio / CLEARLY_FASTER if self.student else self.ratio

    def to_json(self) -> dict[str, Any]:
        result = self.result
        teacher = result.teacher if result and self.student else None
        return {
            "variant": self.variant.name,
            "about": self.variant.about,
            **({"student": self.student_name} if self.student else {}),
            "proven": self.parity is not None,
            "holds": self.parity is not None and not self.reason,
            "reason": self.reason,
            "bytes": self.size,
            "speed": dataclasses.asdict(self.pace) if self.pace else None,
            **{name: getattr(result, name, None) for name in ("answers_equal", "compared", "score", "reference_score")},
            **({"teacher_score": teacher.reference, "change_from_teacher": teacher.change} if teacher else {}),
            "level": self.parity.change.level if self.parity and self.parity.change else None,
            "rows": ("test" if self.parity else "validation") if result else None,
            "row_independent": self.variant.row_independent,
            "facts": self.built.facts if self.built else {},
        }


def select_best(candidates: Sequence[Candidate]) -> Candidate:
    """The first, fp32, if no other is faster."""
    return max(candidates, key=lambda each: 0.0 if each.reason else each.rank)


def to_record(candidates: Sequence[Candidate], selected: Candidate) -> dict[str, Any]:
    """The content of ``variants.json``."""
    return {
        "chosen": selected.variant.name,
        **({"chosen_student": selected.student_name} if selected.student else {}),
        "asked": f"every gate of the proof and, at the lower end of the interval, {CLEARLY_FASTER} × the speed of fp32",
        "speed": "items per second of CPU time on one core, and relative to fp32; medians of alternating rounds, "
        f"with the 96 % interval of {ROUNDS}; fewer rounds, with their range, where that is not reached",
        "candidates": [each.to_json() for each in candidates],
    }
