"""docs/comparison.md has no figure of its own."""

from __future__ import annotations

import re

from tests.paths import ROOT


def rows(page: str) -> dict[str, set[str]]:
    """The figures of each table row, by its first cell."""
    lines = [line.strip("|").split("|") for line in (ROOT / "docs" / page).read_text().splitlines() if line[:1] == "|"]
    return {
        cells[0].strip(): {figure for cell in cells[1:] for figure in re.findall(r"[\d,.]+", cell)} for cells in lines
    }


def test_its_figures_are_those_of_the_benchmarks() -> None:
    """Whoever measures anew finds here which page to change too."""
    measured = rows("benchmarks.md")
    table = (ROOT / "docs" / "comparison.md").read_text().partition("## What was measured")[2].partition("\n## ")[0]
    table = table.partition("| --- |")[2]
    servers = {name: figures for name, figures in rows("comparison.md").items() if f"| {name} |" in table and figures}
    assert len(servers) >= 7
    assert [(name, figures - measured[name]) for name, figures in servers.items() if figures - measured[name]] == []
