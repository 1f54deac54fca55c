"""Scores made probabilities: each task's own settings are fitted to validation rows, and measured on others.

No answer changes: orders stay, and thresholds on a score go through the same increasing function as the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data.rows import Rows
from trainer.metrics.calibration import Forecasts
from trainer.metrics.scaling import CrossFit
from trainer.model.inference import RowLogits


@dataclass(frozen=True)
class Calibrated:
    """``fit`` is None where nothing was fitted by likelihood; ``kept``: whether the settings changed."""

    settings: TaskSettings
    kept: bool
    fit: CrossFit | None = None

    def to_record(self) -> dict[str, Any]:
        return {"kept": self.kept, **(asdict(self.fit) if self.fit else {})}


class Calibration:
    """For a task whose answers have no probability, nothing."""

    @property
    def calibrates(self) -> bool:
        return type(self).calibrate is not Calibration.calibrate

    def without_calibration(self, settings: TaskSettings) -> TaskSettings:
        """The same answers with scores as the model gives them."""
        return settings

    def calibrate(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Calibrated | None:
        """Settings fitted to rows with these logits; ``task`` has settings `without_calibration`."""
        return None

    def forecasts(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Forecasts | None:
        """The scores that ``task`` answers, beside what is right."""
        return None
