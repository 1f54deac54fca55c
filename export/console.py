"""A proof as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from export.proof.judge import agreement
from export.proof.parity import Parity
from export.selection.search import Candidate
from trainer.metrics.display import PERCENT, format_score, metric_title


def parity_table(parity: Parity) -> Group:
    """The gates, the figures that decide whether to ship and, where some answer differs, the ten worst rows."""
    tables = [_gates_table(parity)]
    return Group(*tables, *([_worst_table(parity)] if parity.answers_equal < parity.compared else []))


def _gates_table(parity: Parity) -> Table:
    table = Table(title=f"proof of the {parity.variant} variant on {parity.rows:,} rows", title_justify="left")
    table.add_column("gate")
    table.add_column("measured", max_width=18)
    table.add_column("accepted", no_wrap=True)
    table.add_column("", no_wrap=True)
    for gate in parity.gates:
        verdict = "[green]holds[/]" if gate.passed else "[red]fails[/]"
        table.add_row(gate.name, f"{gate.measured:.3g}", gate.accepted, verdict)
    table.add_section()
    for row in _proof_figures(parity):
        table.add_row(*row)
    return table


def _worst_table(parity: Parity) -> Table:
    table = Table(title="the rows that are furthest apart", title_justify="left")
    table.add_column("inputs", max_width=28, no_wrap=True, overflow="ellipsis")
    for side in ("trained", "served"):
        table.add_column(side, max_width=15, no_wrap=True, overflow="ellipsis")
    table.add_column("logits", justify="right", no_wrap=True)
    for row in parity.worst_rows:
        format_score = (escape(each) for each in (" ".join(row["inputs"].split()), *row["decisions"]))
        table.add_row(*format_score, f"{row['abs_logit_difference']:.3g}")
    return table


def change_shown(parity: Parity) -> str:
    """The interval of the metric's change, in points where it is a share: ``-0.31 to +0.12 points``."""
    change = parity.change
    factor, unit = (100, " points") if change.metric in PERCENT else (1, "")
    return f"{factor * change.low:+.3g} to {factor * change.high:+.3g}{unit}"


def _proof_figures(parity: Parity) -> Iterator[tuple[str, str]]:
    trained, served = (format_score(parity.metric, score) for score in (parity.reference_score, parity.score))
    yield "answers equal", f"{parity.answers_equal:,} of {parity.compared:,}"
    yield f"{metric_title(parity.metric)}, trained → served", f"{trained} → {served}"
    yield "its change, 95 % interval", change_shown(parity)
    flips = parity.flips
    if flips.mcnemar_p is not None:
        yield "rows lost / won, McNemar's p", f"{flips.lost:,} / {flips.won:,}, {flips.mcnemar_p:.2g}"
    if parity.calibration:
        before, after = parity.calibration.reference_ece, parity.calibration.served_ece
        yield "calibration error", f"{before:.4f} → {after:.4f}"
    neighbours, padding = parity.invariance.neighbours, parity.invariance.padding
    yield "answered again beside others", f"{neighbours.comparisons:,} times"
    yield "answered again with padding", f"{padding.comparisons:,} times"
    yield "hard strings tokenised", f"{parity.tokenizer.compared:,}"


def variants_table(candidates: Sequence[Candidate], chosen: str) -> Table:
    """Every variant that was tried: size, speed, quality, and why it was dropped where it was."""
    table = Table(title="variants, one core, the chosen one marked", title_justify="left", box=SIMPLE_HEAD, width=80)
    table.add_column("variant", no_wrap=True)
    for heading in ("MB", "a second", "× fp32", "equal", "score"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", ratio=1)
    for each in candidates:
        mark = "→ " if each.variant.name == chosen else "  "
        verdict = f"[red]{escape(each.reason)}[/]" if each.reason else "[green]holds[/]"
        table.add_row(f"{mark}{each.variant.name}", *_variant_cells(each), verdict)
    return table


def _variant_cells(candidate: Candidate) -> list[str]:
    size, found, pace = candidate.size, candidate.found, candidate.pace
    if not (size and found and pace):
        return [""] * 5
    return [
        f"{size / 1e6:.1f}",
        f"{pace.rate:,.0f}",
        f"{pace.ratio:.2f}",
        f"{agreement(found):.2%}",
        format_score(found.metric, found.score),
    ]
