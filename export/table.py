"""A proof as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from export.proof.parity import Parity
from trainer.scores.shown import PERCENT, readable, shown


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
    for row in _figures(parity):
        table.add_row(*row)
    return table


def _worst_table(parity: Parity) -> Table:
    table = Table(title="the rows that are furthest apart", title_justify="left")
    table.add_column("inputs", max_width=28, no_wrap=True, overflow="ellipsis")
    for side in ("trained", "served"):
        table.add_column(side, max_width=15, no_wrap=True, overflow="ellipsis")
    table.add_column("logits", justify="right", no_wrap=True)
    for row in parity.worst_rows:
        shown = (escape(each) for each in (" ".join(row["inputs"].split()), *row["decisions"]))
        table.add_row(*shown, f"{row['abs_logit_difference']:.3g}")
    return table


def change_shown(parity: Parity) -> str:
    """The interval of the metric's change, in points where it is a share: ``-0.31 to +0.12 points``."""
    change = parity.change
    factor, unit = (100, " points") if change.metric in PERCENT else (1, "")
    return f"{factor * change.low:+.3g} to {factor * change.high:+.3g}{unit}"


def _figures(parity: Parity) -> Iterator[tuple[str, str]]:
    trained, served = (shown(parity.metric, score) for score in (parity.reference_score, parity.score))
    yield "answers equal", f"{parity.answers_equal:,} of {parity.compared:,}"
    yield f"{readable(parity.metric)}, trained → served", f"{trained} → {served}"
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
