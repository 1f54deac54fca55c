"""Would more labels help, or more minutes?

The best recipe is trained on a quarter and on half of the rows too. A power law of the error (Hestness et al. 2017,
"Deep Learning Scaling is Predictable, Empirically") through the three points says what twice the rows would bring; it
is fitted to resampled held-out rows, so that the answer has an interval. What twice the trials would bring is what the
second half brought: the expected best of a number of trials (Dodge et al. 2019, "Show Your Work") grows ever slower.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.tuning.held_out import divide, with_training_rows
from search.tuning.watch import Deadline
from trainer.data.rows import Rows
from trainer.fit.part import train_part
from trainer.fit.score import Score, score_checkpoint
from trainer.metrics.bootstrap import percentile_interval, resampled_values
from trainer.metrics.display import PERCENT
from trainer.setup.training_setup import TrainingSetup

Floats = NDArray[np.float64]

FEWEST_TRIALS = 4
NEGLIGIBLE = 0.001


@dataclass(frozen=True)
class Curve:
    """Rows and score of each part, the largest last; what twice the largest would add, with its 95 % interval."""

    rows: list[int]
    scores: list[Score]
    gain: float
    interval: tuple[float, float]

    def to_record(self) -> dict[str, Any]:
        points = [{"train_rows": n, **score.to_record()} for n, score in zip(self.rows, self.scores, strict=True)]
        return {"points": points, "gain_of_twice_the_labels": self.gain, "gain_interval_95": list(self.interval)}


def learning_curve(setup: TrainingSetup, held_out: Rows, whole: Score, folder: Path, ends_at: float) -> Curve:
    """Train on nested parts of the rows; raises TooSlow."""
    half, _ = divide(setup, setup.splits.train, 0.5, "half")
    quarter, _ = divide(setup, half, 0.5, "quarter")
    scores = []
    for name, rows in (("half", half), ("quarter", quarter)):  # the slowest first: if one is not in time, it is that
        part, place = with_training_rows(setup, rows), folder / name
        if not (place / "checkpoint").is_dir():
            train_part(part, place, [Deadline(ends_at)])
        scores.append(score_checkpoint(part, place / "checkpoint", held_out)[0])
    shutil.rmtree(folder)
    return fit_curve([len(quarter), len(half), len(setup.splits.train)], [scores[1], scores[0], whole])


def fit_curve(rows: list[int], scores: list[Score]) -> Curve:
    least = 0.5 / scores[0].weighted.rows
    resampled = _gains(rows, 1 - resampled_values([score.weighted for score in scores]), least)
    errors = np.array([[1 - score.value] for score in scores])
    return Curve(rows, scores, float(_gains(rows, errors, least)[0]), percentile_interval(resampled))


def _gains(rows: Sequence[int], errors: Floats, least: float) -> Floats:
    """From errors [parts, resamples]: how much lower the power law is at twice the most rows than there."""
    x, y = np.log(np.array(rows, dtype=np.float64)), np.log(np.maximum(errors, least))
    slope, intercept = np.polyfit(x, y, 1)
    now, twice = (np.exp(intercept + slope * at) for at in (x[-1], x[-1] + np.log(2)))
    return np.asarray(now - twice)


def gain_of_twice_the_trials(scores: Sequence[float]) -> float | None:
    """An upper estimate; None from too few trials."""
    if len(scores) < FEWEST_TRIALS:
        return None
    return expected_best(scores, len(scores)) - expected_best(scores, len(scores) // 2)


def expected_best(scores: Sequence[float], count: int) -> float:
    """Of ``count`` draws from the scores, with replacement."""
    ordered, n = np.sort(np.asarray(scores, dtype=np.float64)), len(scores)
    below = (np.arange(n + 1) / n) ** count
    return float(ordered @ np.diff(below))


def advise(metric: str, curve: Curve | None, trials: float | None) -> str:
    """Which of the two would help more, in a sentence or two."""
    minutes = "" if trials is None else f"twice the minutes at most about {points(metric, max(trials, 0))}"
    if curve is None:
        return f"By the trials so far, {minutes} more." if minutes else "There are too few trials to say."
    low, high = curve.interval
    labels = f"twice the labels about {points(metric, curve.gain)} ({interval_points(metric, low, high)})"
    if trials is None:
        return f"By the learning curve, {labels}. There are too few trials to say what more minutes would bring."
    if max(curve.gain, trials) < NEGLIGIBLE:
        return f"Neither more labels nor more minutes would help: {labels}, {minutes}."
    if low > trials:
        return f"More labels would help more than more minutes: {labels}, {minutes}."
    if high < trials:
        return f"More minutes would help more than more labels: {labels}, {minutes}."
    likelier = "labels" if curve.gain > trials else "minutes"
    return f"More {likelier} would probably help more, though the interval has both: {labels}, {minutes}."


def points(metric: str, gain: float) -> str:
    return f"{100 * gain:+.1f} points" if metric in PERCENT else f"{gain:+.3f}"


def interval_points(metric: str, low: float, high: float) -> str:
    return f"{points(metric, low).removesuffix(' points')} to {points(metric, high).removesuffix(' points')}"
