"""A proof as a table for the terminal."""

from __future__ import annotations

from rich.table import Table

from export.proof.parity import Parity
from trainer.scores.shown import readable, shown


def parity_table(parity: Parity) -> Table:
    """The gates with what was measured and what is accepted, and the figures that decide whether to ship."""
    table = Table(title=f"proof of the {parity.variant} variant on {parity.rows:,} rows", title_justify="left")
    for column in ("gate", "measured", "accepted", ""):
        table.add_column(column)
    for gate in parity.gates:
        verdict = "[green]holds[/]" if gate.passed else "[red]fails[/]"
        table.add_row(gate.name, f"{gate.measured:.3g}", gate.accepted, verdict)
    table.add_section()
    table.add_row("answers equal", f"{parity.answers_equal:,} of {parity.compared:,}")
    trained, served = (shown(parity.metric, score) for score in (parity.reference_score, parity.score))
    table.add_row(f"{readable(parity.metric)}, trained → served", f"{trained} → {served}")
    return table
