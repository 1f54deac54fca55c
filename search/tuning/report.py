"""STUDY/report.md, and the same for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from search.durations import minutes
from search.tuning.learning_curve import Curve
from search.tuning.result import Result
from trainer.metrics.display import format_score, metric_title


def report(result: Result, spent: str) -> str:
    """Markdown."""
    title = metric_title(result.metric)
    lines = [f"# The best of {len(result.trials)} trials: {title} {_score(result.metric, result.best['value'])}", ""]
    lines += [
        f"Trial {result.best['number']}, in `best.yaml`: {describe(result.best['values'], result.own)}. {spent}",
        "",
    ]
    lines += ["## What it is worth", "", *(f"- {line}" for line in worth(result)), ""]
    lines += ["## More labels or more minutes?", "", result.advice, ""]
    if result.curve:
        lines += [*_markdown(*curve_rows(result.curve)), ""]
    lines += ["## Trials", "", *_markdown(*_trial_rows(result)), ""]
    return "\n".join(lines)


def worth(result: Result) -> list[str]:
    """The score that chose, and the one that did not, in sentences."""
    selected = result.selected
    lines = [f"On validation, which chose it: {format_measured(selected)}. The best of many scores is flattered."]
    if result.held_out:
        lines.append(
            f"On held-out rows that no trial saw, scored once: {format_measured(result.held_out.to_record())}."
        )
    return [*lines, *result.notes, "The test rows were not used: they are for tuneship train and export."]


def format_measured(score: Mapping[str, Any]) -> str:
    metric, (low, high) = score["metric"], score["interval_95"]
    interval = f"{format_score(metric, low)} – {format_score(metric, high)}"
    return f"{metric_title(metric)} {format_score(metric, score['value'])} (95 %: {interval}; {score['rows']} rows)"


def describe(values: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Where they differ from the recipe's ``own``, without the sections' names."""
    differing = {key: value for key, value in values.items() if key not in own or own[key] != value}
    told = ", ".join(f"{key.rpartition('.')[2]} {_format_value(value)}" for key, value in differing.items())
    return told or "the recipe as it is"


def _format_value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "+".join(value) if isinstance(value, list) else str(value).rstrip("/").rpartition("/")[2]


def trials_table(result: Result, most: int = 10) -> Table:
    """The best ones, for 80 columns."""
    headings, rows = _trial_rows(result)
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "recipe" else "right", no_wrap=heading != "recipe")
    for row in rows[:most]:
        table.add_row(*row)
    return table


def _trial_rows(result: Result) -> tuple[list[str], list[list[str]]]:
    rows = []
    for trial in result.trials:
        score = trial["score"] and f"± {_half_width(trial['score'])}"
        told = "–" if trial["value"] is None else _score(result.metric, trial["value"])
        about = score or trial["reason"] or f"pruned at epoch {trial['epochs']:g}"
        spent = minutes(trial["seconds"]) if trial["seconds"] else "–"
        rows.append([str(trial["number"]), told, about, spent, describe(trial["values"], result.own)])
    return ["trial", metric_title(result.metric), "95 %", "time", "recipe"], rows


def _half_width(score: Mapping[str, Any]) -> str:
    low, high = score["interval_95"]
    return _score(score["metric"], (high - low) / 2)


def curve_rows(curve: Curve) -> tuple[list[str], list[list[str]]]:
    metric = curve.scores[0].metric
    rows = [
        [f"{count:,}", _score(metric, score.value), " – ".join(_score(metric, end) for end in score.interval)]
        for count, score in zip(curve.rows, curve.scores, strict=True)
    ]
    return ["training rows", f"held-out {metric_title(metric)}", "95 %"], rows


def _score(metric: str, value: float) -> str:
    return format_score(metric, value)


def _markdown(headings: list[str], rows: list[list[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]
