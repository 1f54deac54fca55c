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
    "coverage": "inside the interval",
    "recall_at_1": "recall@1",
    "recall_at_5": "recall@5",
    "recall_at_10": "recall@10",
    "mrr_at_10": "MRR@10",
    "ndcg_at_10": "nDCG@10",
    "precision": "precision",
    "recall": "recall",
    "token_accuracy": "token accuracy",
    "perplexity": "perplexity",
}
CALIBRATION = {"ece": "calibration error", "nll": "negative log-likelihood", "brier": "Brier score"}
MOST_INTERVALS = 3
"""In a table; of more, the main metric's alone."""
PERCENT = frozenset({"accuracy", "exact_match", "coverage", "recall_at_1", "recall_at_5", "recall_at_10"})


def metric_title(metric: str) -> str:
    return NAMES.get(metric, metric.replace("_", " "))


def format_score(metric: str, value: float) -> str:
    """Shares of rows in percent."""
    return f"{value:.2%}" if metric in PERCENT else f"{value:.4f}"


def main_metric(record: dict[str, Any]) -> str:
    """The metric that chose the checkpoint, or the task's first."""
    test = record["metrics"]["test"]
    return str(record["metric"] if record["metric"] in test else next(name for name in NAMES if name in test))


def calibration_table(calibration: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for the scores before calibration and one after it."""
    rows = []
    for when, figures in calibration.items():
        cells = [
            f"{figures[name]:.4f} ({' – '.join(f'{end:.4f}' for end in figures[f'{name}_interval_95'])})"
            for name in CALIBRATION
        ]
        rows.append([f"{when} calibration", f"{figures['answers']:,}", *cells])
    return ["scores", "answers", *(f"{title} (95 %)" for title in CALIBRATION.values())], rows


def calibration_note(record: dict[str, Any]) -> str:
    """What was fitted to the validation rows, or why nothing was."""
    if record.get("before") is None:
        return f"The {record['rows']} validation rows are too few to calibrate scores."
    change = f"the negative log-likelihood of {record['rows']:,} answers {record['before']:.4f} → {record['after']:.4f}"
    if record["kept"]:
        return f"Fitted to the validation rows, cross-fitted: {change}."
    return f"Scores stay as the model gives them, as calibrating does not pay on held-out validation rows: {change}."


def leaks_note(record: dict[str, Any]) -> str:
    """How many test rows training has seen; empty if none, or where nothing was trained."""
    leaks = record.get("leaks")
    if not leaks or not leaks["rows"]:
        return ""
    rows, near = leaks["rows"], leaks["rows"] - leaks["equal"]
    which = f"equal but for case and punctuation: {leaks['equal']}; nearly equal: {near}"
    figures = "The last row of the table is without them" if leaks["test"] else "Without them too few rows are left"
    of = record["metrics"]["test"]["rows"]
    return f"{rows} of {of} test rows are among the rows of training or validation ({which}). {figures}."


def figures_table(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each set."""
    sets = {**record["metrics"], **{f"test, {name}": each for name, each in record.get("test_sets", {}).items()}}
    sets |= {"test, its teacher": record["teacher"]["metrics"]} if "teacher" in record else {}
    if without := record.get("leaks", {}).get("test"):
        sets["test, unseen rows"] = without
    sets |= {f"test, {name}": each for name, each in record["metrics"]["test"].get("cut", {}).items()}
    known = dict.fromkeys([record["metric"], *NAMES])  # an extension's has no other title than its name
    names = [name for name in known if all(name in figures for figures in sets.values())]
    headings = ["set", "rows"]
    rows = [[name, str(figures["rows"])] for name, figures in sets.items()]
    told = [name for name in names if f"{name}_interval_95" in sets["test"]]
    told = told if len(told) <= MOST_INTERVALS else [main_metric(record)]
    for metric in sorted(names, key=lambda name: name != main_metric(record)):
        interval = f"{metric}_interval_95"
        headings += [metric_title(metric), *(["95 % interval"] if metric in told else [])]
        for row, figures in zip(rows, sets.values(), strict=True):
            row.append(format_score(metric, figures[metric]))
            if metric in told:
                low, high = figures[interval]
                row.append(f"{format_score(metric, low)} – {format_score(metric, high)}")
    return headings, rows
