"""What an import found, in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trainer.metrics.display import figures_table
from trainer.run.report.import_facts import import_facts


def show_import(console: Console, record: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in import_facts(record):
        table.add_row(f"[bold]{name}[/]", escape(value))
    console.print(table)
    for warning in record["warnings"]:
        console.print(f"[yellow]warning[/] {escape(warning)}", soft_wrap=True, highlight=False)
    if not record["imported"]["labelled"]:
        console.print("no metrics: the rows have no labels", highlight=False)
        return
    headings, rows = figures_table(record)
    figures = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        figures.add_row(*row)
    console.print(figures)
