"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from export.proof.display import change_unit, format_change
from export.proof.gate import Gate
from export.proof.prove import Parity
from export.proof.statistics.metric_change import MetricChange
from export.selection.candidate import Candidate
from trainer.metrics.display import format_score, metric_title


def parity_table(parity: Parity) -> Group:
    """With the worst rows if some answer differs."""
    return Group(_gates_table(parity), *([] if parity.agreement in (None, 1) else [_worst_table(parity)]))


def _gates_table(parity: Parity) -> Table:
    table = Table(title=f"proof of the {parity.variant} variant on {parity.rows:,} rows", title_justify="left")
    table.add_column("gate")
    table.add_column("measured", max_width=18)
    table.add_column("accepted", no_wrap=True)
    table.add_column("", no_wrap=True)
    for gate in parity.gates:
        table.add_row(*_gate_cells(gate))
    table.add_section()
    for row in _main_figures(parity):
        table.add_row(*row)
    return table


def _gate_cells(gate: Gate) -> tuple[str, ...]:
    if gate.measured is None:
        return f"{gate.name}: {gate.advice}", "", "", "not applicable"
    return gate.name, f"{gate.measured:.3g}", gate.accepted, "[red]failed[/]" if gate.failed else "[green]passed[/]"


def _worst_table(parity: Parity) -> Table:
    table = Table(title="rows with the largest differences", title_justify="left")
    table.add_column("inputs", max_width=28, no_wrap=True, overflow="ellipsis")
    for side in ("trained", "served"):
        table.add_column(side, max_width=15, no_wrap=True, overflow="ellipsis")
    table.add_column("logits", justify="right", no_wrap=True)
    for row in parity.worst_rows:
        cells = (escape(text) for text in (" ".join(row["inputs"].split()), *row["decisions"]))
        table.add_row(*cells, f"{row['abs_logit_difference']:.3g}")
    return table


def _main_figures(parity: Parity) -> Iterator[tuple[str, str]]:
    if parity.answers_equal is not None:
        yield "equal answers", f"{parity.answers_equal:,} of {parity.compared:,}"
    if parity.change is None:
        yield metric_title(parity.metric), "not measured: the rows have no labels"
    else:
        yield from _metric_figures(parity.metric, parity.change)
    if teacher := parity.teacher:
        taught, served = (format_score(parity.metric, score) for score in (teacher.reference, teacher.served))
        yield f"{metric_title(parity.metric)}, teacher → served", f"{taught} → {served}"
        low, high = format_change(parity.metric, teacher.low, teacher.high)
        yield "its change from the teacher's", f"{low} to {high}{change_unit(parity.metric)}"
    flips = parity.flips
    if flips.mcnemar_p is not None:
        yield "rows lost / won, McNemar's p", f"{flips.lost:,} / {flips.won:,}, {flips.mcnemar_p:.2g}"
    if parity.calibration:
        before, after = parity.calibration.reference_ece, parity.calibration.served_ece
        yield "calibration error", f"{before:.4f} → {after:.4f}"
    for where, found in (("in other batches", parity.invariance.neighbours), ("padded", parity.invariance.padding)):
        if found.changed_share_95:
            yield f"answers {where}; share changed, 95 %", f"{found.comparisons:,}; ≤ {found.changed_share_95[1]:.2%}"
    yield "compared hard strings", f"{parity.tokenizer.compared:,}"


def _metric_figures(metric: str, change: MetricChange) -> Iterator[tuple[str, str]]:
    trained, served = (format_score(metric, score) for score in (change.reference, change.served))
    low, high = format_change(metric, change.low, change.high)
    yield f"{metric_title(metric)}, trained → served", f"{trained} → {served}"
    yield f"its change, {100 - 200 * change.level:g} % interval", f"{low} to {high}{change_unit(metric)}"
    if unlabelled := change.unlabelled:
        yield "unlabelled rows with another answer", f"{unlabelled.changed:,} of {unlabelled.compared:,}"


def variants_table(candidates: Sequence[Candidate], selected: str) -> Table:
    """``selected``: the name of the candidate that serves."""
    table = Table(title="variants on one core; → is served", title_justify="left", box=SIMPLE_HEAD, width=80)
    table.add_column("variant", no_wrap=True)
    for heading in ("MB", "per second", "× fp32", "equal", "score"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", ratio=1)
    for each in candidates:
        mark = "→ " if each.name == selected else "  "
        verdict = f"[red]{escape(each.reason)}[/]" if each.reason else "[green]passed[/]"
        table.add_row(escape(f"{mark}{each.name}"), *_variant_cells(each), verdict)
    return table


def _variant_cells(candidate: Candidate) -> list[str]:
    result, pace = candidate.result, candidate.pace
    size_and_speed = [f"{candidate.megabytes:.1f}", f"{pace.rate:,.0f}", f"{pace.ratio:.2f}"] if pace else [""] * 3
    if not result:
        return [*size_and_speed, "", ""]
    agreement = "" if result.agreement is None else f"{result.agreement:.2%}"
    score = "" if result.score is None else format_score(result.metric, result.score)
    return [*size_and_speed, agreement, score]
