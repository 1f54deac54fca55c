"""The variants that were tried, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from export.variants.agreement import agreement
from export.variants.search import Candidate
from trainer.scores.shown import shown


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
        table.add_row(f"{mark}{each.variant.name}", *_figures(each), verdict)
    return table


def _figures(candidate: Candidate) -> list[str]:
    size, found, pace = candidate.size, candidate.found, candidate.pace
    if not (size and found and pace):
        return [""] * 5
    return [
        f"{size / 1e6:.1f}",
        f"{pace.rate:,.0f}",
        f"{pace.ratio:.2f}",
        f"{agreement(found):.2%}",
        shown(found.metric, found.score),
    ]
