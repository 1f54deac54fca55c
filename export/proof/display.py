"""Changes of a metric for people."""

from __future__ import annotations

from trainer.metrics.display import PERCENT


def format_change(metric: str, *values: float) -> list[str]:
    """Signed; in percentage points if the metric is a share of rows."""
    factor = 100 if metric in PERCENT else 1
    return [f"{factor * value:+.3g}" for value in values]


def change_unit(metric: str) -> str:
    return " points" if metric in PERCENT else ""
