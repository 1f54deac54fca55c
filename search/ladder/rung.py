"""A rung of the ladder: a way to solve the task, with what it reaches and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from trainer.data.rows import Rows
from trainer.fit.score import Score
from trainer.metrics.bootstrap import percentile_interval, resampled_values
from trainer.metrics.resampling import WeightedMetric

Floats = NDArray[np.float64]

_TIMED_TEXTS, _WARM_UP = 64, 8


@dataclass(frozen=True)
class Rung:
    """``scores`` are of the same validation rows: several, where examples were sampled several times.

    Attributes:
        key: of ``--rungs``.
        train_rows: that it has learned from.
        seconds: of learning, or of making vectors.
        milliseconds: a text, alone, from its text to its answer.
        parameters: that are run for each token.
        note: why it was not measured.
    """

    key: str
    name: str
    scores: Sequence[Score] = ()
    train_rows: int = 0
    seconds: float = 0.0
    milliseconds: float | None = None
    parameters: int | None = None
    note: str = ""

    @property
    def measured(self) -> bool:
        return bool(self.scores)

    @property
    def value(self) -> float:
        return float(np.mean([score.value for score in self.scores]))

    @property
    def metrics(self) -> list[WeightedMetric]:
        return [score.weighted for score in self.scores]

    @property
    def interval(self) -> tuple[float, float]:
        return self.scores[0].interval if len(self.scores) == 1 else percentile_interval(self.resampled())

    def resampled(self) -> Floats:
        return np.asarray(resampled_values(self.metrics).mean(axis=0))

    def gain_over(self, other: Rung) -> tuple[float, tuple[float, float]]:
        """Of the same resampled rows."""
        return self.value - other.value, percentile_interval(self.resampled() - other.resampled())

    def to_record(self) -> dict[str, Any]:
        return {
            "rung": self.key,
            "name": self.name,
            "score": {**self.scores[0].to_record(), "value": self.value, "interval_95": list(self.interval)}
            if self.measured
            else None,
            "train_rows": self.train_rows,
            "seconds": round(self.seconds, 1),
            "milliseconds_a_text": self.milliseconds,
            "parameters_a_token": self.parameters,
            "note": self.note,
        }


def timed(make: Callable[[], Rung]) -> Rung:
    """The rung, with the time that it took."""
    start = time.monotonic()
    return replace(made := make(), seconds=made.seconds or time.monotonic() - start)


def parameters_a_token(model: nn.Module) -> int:
    """Those that are run for each token: without the tables that it only looks up."""
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    looked_up = {id(weight) for table in tables for weight in table.parameters()}
    return sum(weight.numel() for weight in model.parameters() if id(weight) not in looked_up)


def milliseconds_a_text(answer: Callable[[Any], object], rows: Rows) -> float:
    """The median of texts that are answered one at a time."""
    spent = []
    for inputs in rows.inputs[: _TIMED_TEXTS + _WARM_UP]:
        start = time.perf_counter()
        answer(inputs)
        spent.append(1000 * (time.perf_counter() - start))
    return median(spent[_WARM_UP:] or spent)
