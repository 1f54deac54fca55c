"""The report's tables: headings and rows of text, from a run's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.metrics.display import format_score, metric_title

Cells = tuple[list[str], list[list[str]]]

_MEASURES = {"confidence": "confidence", "error": "off by", "missed_words": "1 − F1 of words", "rank": "rank"}


def measure_title(measure: str) -> str:
    """Of what mistakes are sorted by."""
    return _MEASURES[measure]


def labels_table(per_label: Mapping[str, Any], code: Any) -> Cells:
    """The weakest first; ``code`` writes a label."""
    weakest_first = sorted(per_label.items(), key=lambda item: (item[1]["f1"], item[0]))
    rows = [
        [code(label), _share(each, "precision"), _share(each, "recall"), f"{each['f1']:.3f}", str(each["support"])]
        for label, each in weakest_first
    ]
    return ["label", "precision (95 %)", "recall (95 %)", "F1", "test rows"], rows


def slices_table(record: Mapping[str, Any]) -> Cells:
    """The weakest beside the other rows first."""
    metric = record["slices_metric"]
    rows = [
        [
            f"{each['name']}{': **weaker**' if each['weaker'] else ''}",
            f"{each['rows']:,}",
            f"{format_score(metric, each['value'])} ({_range(metric, each['interval_95'])})",
            format_score(metric, each["rest"]),
        ]
        for each in record["slices"]
    ]
    return ["test rows", "how many", f"{metric_title(metric)} (95 %)", "of the others"], rows


def _share(figures: Mapping[str, Any], name: str) -> str:
    low, high = figures[f"{name}_interval_95"]
    return f"{figures[name]:.3f} ({low:.2f} – {high:.2f})"


def _range(metric: str, ends: list[float]) -> str:
    return " – ".join(format_score(metric, end) for end in ends)
