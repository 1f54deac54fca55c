"""The parts of docs/reliability.md that commands write, each between its marks."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from deploy.measurement.process import ROOT

WIDTH = 120
PAGE = ROOT / "docs" / "reliability.md"


def write_part(name: str, lines: list[str], page: Path = PAGE) -> None:
    """Replace what is between ``<!-- name: … -->`` and ``<!-- end -->``; raises ValueError if the marks are absent."""
    text = page.read_text(encoding="utf-8")
    marked = re.compile(rf"(<!-- {re.escape(name)}: [^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
    if not marked.search(text):
        raise ValueError(f"{page} has no part {name!r}")
    body = "\n".join([*lines, ""])
    page.write_text(marked.sub(lambda found: found[1] + body + found[2], text), encoding="utf-8")


def wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH)


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *rows)]
