"""Parts of the test rows that a text's look defines, and how much worse the answers are on them than on the others."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.rows import Rows, texts_of
from trainer.metrics.bootstrap import resample
from trainer.metrics.resampling import WeightedMetric

LEAST_ROWS = 20
"""Of a slice, and of the rows that are not in it."""

Mask = NDArray[np.bool_]

_LOOKS: dict[str, Callable[[str], bool]] = {
    "with a number": lambda text: bool(re.search(r"\d", text)),
    "with a question mark": lambda text: bool(re.search(r"[?？؟]", text)),
    "all in capitals": lambda text: text.isupper(),
    "with letters beyond A to Z": lambda text: any(letter.isalpha() and not letter.isascii() for letter in text),
    "with a link or an address": lambda text: bool(re.search(r"https?://|www\.|\S@\S", text)),
}


def find_slices(rows: Rows, truncated: Sequence[bool]) -> dict[str, Mask]:
    """Those that have enough rows: quarters by length, looks, and inputs that were cut."""
    texts = ("\n".join(texts_of(inputs)) for inputs in rows.inputs)
    lengths, *seen = zip(*((len(text), *(look(text) for look in _LOOKS.values())) for text in texts), strict=True)
    looks = {name: np.array(each, dtype=bool) for name, each in zip(_LOOKS, seen, strict=True)}
    found = {**_quarters(lengths), **looks, "cut at max_length": np.array(truncated, dtype=bool)}
    return {name: mask for name, mask in found.items() if LEAST_ROWS <= mask.sum() <= len(rows) - LEAST_ROWS}


def measure_slices(metric: WeightedMetric, slices: dict[str, Mask]) -> list[dict[str, Any]]:
    """Each slice's value with its 95 % interval, and whether it is ``weaker`` than the other rows.

    It is where the upper end of the difference is below 0, in resampled rows, at 2.5 % shared among the slices
    (Bonferroni). The largest difference comes first.
    """
    if not slices:
        return []
    every, resampled = np.ones((1, metric.rows)), _resampled(metric, slices.values())
    measured = []
    for (name, mask), (inside, outside) in zip(slices.items(), resampled, strict=True):
        value, rest = (float(metric(every * part)[0]) for part in (mask, ~mask))
        if math.isnan(value + rest):  # rows that stand for no query of their own
            continue
        low, high = np.nanquantile(inside, (0.025, 0.975))
        weaker = np.nanquantile(inside - outside, 1 - 0.025 / len(slices)) < 0
        figures = {"name": name, "rows": int(mask.sum()), "value": value, "interval_95": [float(low), float(high)]}
        measured.append({**figures, "rest": rest, "weaker": bool(weaker)})
    return sorted(measured, key=lambda each: each["value"] - each["rest"])


def _resampled(metric: WeightedMetric, masks: Iterable[Mask]) -> NDArray[np.float64]:
    """[slices, in it or not, resamples]; one block of weights is in memory at a time."""
    sides = [(mask, ~mask) for mask in masks]
    blocks = ([[_measure(metric, block, side) for side in pair] for pair in sides] for block in resample(metric.rows))
    return np.concatenate([np.array(block) for block in blocks], axis=2)


def _measure(metric: WeightedMetric, weights: NDArray[np.float64], mask: Mask) -> NDArray[np.float64]:
    """NaN for resamples without a row of the slice."""
    kept = weights * mask
    drawn = kept.sum(axis=1) > 0
    values = np.full(len(kept), np.nan)
    values[drawn] = metric(kept[drawn])
    return values


def _quarters(lengths: Sequence[int]) -> dict[str, Mask]:
    """By characters; fewer where lengths are equal."""
    values = np.array(lengths)
    ends = sorted({int(end) for end in np.quantile(values, (0.25, 0.5, 0.75))})
    bounds = list(zip([-1, *ends], [*ends, int(values.max(initial=0))], strict=True))
    return {f"{low + 1} to {high} characters": (values > low) & (values <= high) for low, high in bounds if low < high}
