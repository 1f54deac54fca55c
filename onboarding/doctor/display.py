"""Findings on a terminal: how each stands, what was found, and below it what to do."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from onboarding.doctor.finding import Finding, State

WIDTH = 80
_LEAD = 9
_COLOURS: dict[State, str] = {"ok": "green", "warning": "yellow", "error": "red"}


def show(console: Console, findings: Sequence[Finding]) -> None:
    for finding in findings:
        console.print(_to_text(finding), soft_wrap=True)
    counts = Counter(finding.state for finding in findings)
    console.print(Text(f"\nok: {counts['ok']}, warnings: {counts['warning']}, errors: {counts['error']}"))


def _to_text(finding: Finding) -> Text:
    text = Text(f"{finding.state:{_LEAD}}", style=_COLOURS[finding.state])
    lines = _wrap(f"{finding.name}: {finding.found}", 0)
    if finding.remedy:
        first, *others = _wrap(finding.remedy, 2)
        lines += [f"→ {first}", *(f"  {line}" for line in others)]
    return text.append(f"\n{' ' * _LEAD}".join(lines), style="default")


def _wrap(text: str, indent: int) -> list[str]:
    width = WIDTH - _LEAD - indent
    return [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(part, width, break_long_words=False, break_on_hyphens=False)
    ]
