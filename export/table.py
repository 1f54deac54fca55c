"""A proof as a table for the terminal."""

from __future__ import annotations

from rich.table import Table

from export.parity import Parity


def parity_table(parity: Parity) -> Table:
    """The gates with what was measured and what is accepted, and the figures that decide whether to ship."""
    compared = parity.rows + parity.hard_inputs
    table = Table(title=f"proof of the {parity.variant} variant on {parity.rows:,} rows", title_justify="left")
    for column in ("gate", "measured", "accepted", ""):
        table.add_column(column)
    for gate in parity.gates:
        verdict = "[green]holds[/]" if gate.passed else "[red]fails[/]"
        table.add_row(gate.name, f"{gate.measured:.3g}", gate.accepted, verdict)
    table.add_section()
    table.add_row("labels equal", f"{parity.labels_equal:,} of {compared:,}")
    table.add_row("accuracy, trained → served", f"{parity.reference_accuracy:.2%} → {parity.accuracy:.2%}")
    return table
