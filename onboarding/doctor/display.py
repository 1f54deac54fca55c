"""Findings on a terminal: a line each, and below it what to do."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from onboarding.doctor.finding import Finding, State

WIDTH = 80
_NAME = 22
_SIGNS: dict[State, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "error": ("error", "red"),
}


def show(console: Console, findings: Sequence[Finding]) -> None:
    for finding in findings:
        _show(console, finding)
    counts = Counter(finding.state for finding in findings)
    told = ", ".join(
        f"{counts[state]} {state}{'s' if state != 'ok' and counts[state] != 1 else ''}" for state in _SIGNS
    )
    console.print(Text(f"\n{told}"))


def _show(console: Console, finding: Finding) -> None:
    word, colour = _SIGNS[finding.state]
    lead = 9
    lines = textwrap.wrap(
        f"{finding.name}: {finding.found}", WIDTH - lead, break_long_words=False, break_on_hyphens=False
    )
    text = Text(f"{word:{lead}}", style=colour)
    text.append(f"\n{' ' * lead}".join(lines), style="default")
    console.print(text, soft_wrap=True)
    for line in textwrap.wrap(finding.remedy, WIDTH - lead - 2, break_long_words=False, break_on_hyphens=False):
        console.print(
            Text(f"{' ' * lead}→ {line}" if line == finding.remedy[: len(line)] else f"{' ' * lead}  {line}"),
            soft_wrap=True,
        )
