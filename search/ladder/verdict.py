"""Does fine-tuning pay? In words, and as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from search.durations import minutes
from search.ladder.fine_tuned import NAMES
from search.ladder.rung import Rung
from search.tuning.learning_curve import interval_points, points
from trainer.metrics.display import format_score, metric_title


def verdict(rungs: Sequence[Rung]) -> str:
    """Of the best fine-tuned rung over the best that is not, by their paired difference."""
    trained = [rung for rung in rungs if rung.key in NAMES and rung.measured]
    cheap = [rung for rung in rungs if rung.key not in NAMES and rung.measured]
    if not trained or not cheap:
        return ""
    best, other = max(trained, key=_value), max(cheap, key=_value)
    gain, (low, high) = best.gain_over(other)
    metric = best.scores[0].metric
    rows = best.metrics[0].rows
    told = f"{points(metric, gain)} of {metric_title(metric)} (95 %: {interval_points(metric, low, high)})"
    over = f"{told} over {other.name}{_cost(best, other)}"
    if low > 0:
        return f"Fine-tuning pays: {best.name} gains {over}."
    if high < 0:
        return f"Fine-tuning does not pay: {best.name} gains {over}."
    return f"{rows:,} validation rows cannot tell whether fine-tuning pays: {best.name} gains {over}."


def _value(rung: Rung) -> float:
    return rung.value


def _cost(best: Rung, other: Rung) -> str:
    more = f", for {minutes(best.seconds)} of training instead of {minutes(other.seconds)}"
    if not best.milliseconds or not other.milliseconds:
        return more
    ratio = best.milliseconds / other.milliseconds
    return f"{more}, and {ratio:.1f} × the time a text" if ratio > 1.5 else f"{more}, and about the same time a text"


def ladder_table(rungs: Sequence[Rung]) -> Table:
    """For 80 columns."""
    metric = next((rung.scores[0].metric for rung in rungs if rung.measured), "accuracy")
    table = Table(box=None, pad_edge=False)
    table.add_column("rung")
    for heading in (metric_title(metric), "95 %", "rows", "training", "ms/text", "params"):
        table.add_column(heading, justify="right")
    for rung in rungs:
        if rung.measured:
            table.add_row(rung.name, *_cells(metric, rung))
        else:
            table.add_row(rung.name, "–", "", "", "", "", "")
    return table


def _cells(metric: str, rung: Rung) -> list[str]:
    low, high = (format_score(metric, end).removesuffix("%") for end in rung.interval)
    served = "–" if rung.milliseconds is None else f"{rung.milliseconds:.2f}"
    interval, run = f"{low} – {high}", _short(rung.parameters)
    return [format_score(metric, rung.value), interval, f"{rung.train_rows:,}", minutes(rung.seconds), served, run]


def _short(count: int | None) -> str:
    if count is None:
        return "–"
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"


def notes(rungs: Sequence[Rung]) -> list[str]:
    """Why some were not measured."""
    return [f"{rung.name}: not measured, {rung.note}" for rung in rungs if not rung.measured]
