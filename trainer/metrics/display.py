"""Metrics for people."""

from __future__ import annotations

from typing import Any

NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "f1": "F1",
    "exact_match": "exact match",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "rmse": "RMSE",
    "precision": "precision",
    "recall": "recall",
    "token_accuracy": "token accuracy",
    "perplexity": "perplexity",
}
PERCENT = frozenset({"accuracy", "exact_match"})


def metric_title(metric: str) -> str:
    return NAMES.get(metric, metric.replace("_", " "))


def format_score(metric: str, value: float) -> str:
    """Shares of rows in percent."""
    return f"{value:.2%}" if metric in PERCENT else f"{value:.4f}"


def main_metric(record: dict[str, Any]) -> str:
    """The metric that chose the checkpoint, or the task's first."""
    test = record["metrics"]["test"]
    return str(record["metric"] if record["metric"] in test else next(name for name in NAMES if name in test))


def figures_table(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each set."""
    sets = {**record["metrics"], **{f"test, {name}": each for name, each in record.get("test_sets", {}).items()}}
    names = [name for name in NAMES if all(name in figures for figures in sets.values())]
    headings = ["set", "rows"]
    rows = [[name, str(figures["rows"])] for name, figures in sets.items()]
    for metric in sorted(names, key=lambda name: name != main_metric(record)):
        interval = f"{metric}_interval_95"
        headings += [metric_title(metric), *(["95 % interval"] if interval in sets["test"] else [])]
        for row, figures in zip(rows, sets.values(), strict=True):
            row.append(format_score(metric, figures[metric]))
            if interval in sets["test"]:
                low, high = figures[interval]
                row.append(f"{format_score(metric, low)} – {format_score(metric, high)}")
    return headings, rows
