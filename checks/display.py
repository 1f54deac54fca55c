"""Findings on a terminal: a table, and the worst examples of each."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from checks.check import Checked
from checks.finding import Example, Finding
from serving.errors import shorten

WIDTH = 80
_SHOWN = 3


def show(console: Console, checked: Checked) -> None:
    rows = ", ".join(f"{name} {count:,}" for name, count in checked.rows.items())
    console.print(f"{rows} rows; {checked.seconds:.0f} s", highlight=False)
    console.print(_table(checked.findings), width=WIDTH)
    for finding in checked.findings:
        if finding.count:
            console.print(Text("\n".join(_lines(finding))), width=WIDTH)


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, width=WIDTH)
    table.add_column("check", no_wrap=True)
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("of", justify="right", no_wrap=True)
    table.add_column("how", overflow="fold")
    for finding in findings:
        if finding.count is None:
            table.add_row(finding.name, "–", "", Text(f"not checked: {finding.how}", style="dim"))
        else:
            found = Text(f"{finding.count:,}", style="yellow" if finding.count else "green")
            table.add_row(finding.name, found, f"{finding.of:,}", Text(finding.how))
    return table


def _lines(finding: Finding) -> Iterator[str]:
    yield f"\n{finding.title}"
    for example in finding.examples[:_SHOWN]:
        yield from _example_lines(example)
    if len(finding.examples) > _SHOWN:
        yield f"  … and {len(finding.examples) - _SHOWN:,} more (--json has all)"


def _example_lines(example: Example) -> Iterator[str]:
    yield f"  {shorten(example.note, WIDTH - 2)}"
    for row in example.rows:
        place = f"    {row.file} row {row.number}  "
        yield place + shorten(" ".join(row.to_json()["text"].split()), max(20, WIDTH - len(place)))
