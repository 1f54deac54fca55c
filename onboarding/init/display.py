"""A proposed recipe on a terminal: what was chosen and why, what else it could be, what to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from onboarding.init.draft import Entry
from onboarding.init.propose import Proposal
from serving.errors import shorten

WIDTH = 80
_KEY = 11


def show(console: Console, proposal: Proposal, recipe: Path) -> None:
    names, seen = list(proposal.seen.columns), proposal.seen
    columns = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    tool = f" of {seen.tool}" if seen.tool else ""
    console.print(Text(f"{seen.files.name}{tool}  {seen.rows:,} rows; columns: {columns}"), width=WIDTH)
    for entry in proposal.draft.ordered():
        if entry.why:
            _print_entry(console, entry)
    if proposal.notes:
        console.print()
    for note in proposal.notes:
        console.print(Text("\n".join(_wrapped(note, "look at  ", 9)), style="yellow"))
    _print_end(console, proposal, recipe)


def _print_entry(console: Console, entry: Entry) -> None:
    line = Text(f"\n{entry.key.removeprefix('data.')}: ", style="bold")
    line.append(shorten(_spell(entry.value), WIDTH - len(line)), style="not bold")
    console.print(line, soft_wrap=True)
    console.print(Text("\n".join(_wrapped(entry.why, "  ", 2)), style="dim"))
    for other in entry.instead:
        console.print(Text("\n".join(_wrapped(other, "  or ", 5))))


def _spell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _wrapped(text: str, lead: str, indent: int) -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH - indent, break_long_words=False, break_on_hyphens=False) or [""]
    for at, line in enumerate(lines):
        yield (lead if not at else " " * indent) + line


def _print_end(console: Console, proposal: Proposal, recipe: Path) -> None:
    console.print()
    if problem := proposal.rehearsal.problem:
        console.print(Text(f"A training would refuse it: {problem}", style="red"), soft_wrap=True)
    splits = proposal.rehearsal.splits
    rows = ", ".join(f"{name} {len(rows):,}" for name, rows in splits.by_name()) if splits else ""
    console.print(Text(f"wrote  {recipe}" + (f"  ({rows} rows)" if rows else "")), soft_wrap=True)
    if not proposal.rehearsal.problem:
        console.print(Text(f"next   tuneship check {recipe}"), soft_wrap=True)
        console.print(Text(f"       tuneship train {recipe} --output runs/{_run_name(recipe)}"), soft_wrap=True)


def _run_name(recipe: Path) -> str:
    return "first" if recipe.stem == "recipe" else recipe.stem
