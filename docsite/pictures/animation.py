"""An asciicast as an SVG that plays by itself, in a browser and in a README.

    .venv-site/bin/python -m docsite.pictures.animation RECORDING.cast PICTURE.svg

The screens come from pyte, a terminal emulator of its own environment. A screen that is soon replaced by another is
left out: FRAME seconds are what an eye can follow.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

FRAME, LAST = 0.3, 4.0
"""Seconds of the shortest screen, and of the last one before the picture begins again."""

COLUMN, ROW, PAD, FONT = 8.0, 17, 12, 13.3
GROUND, INK = "#16191f", "#d7dae0"
COLOURS = {
    "black": "#5c6370", "red": "#f28b82", "green": "#8fd19e", "brown": "#e5c07b", "blue": "#7fb4ff",
    "magenta": "#d19ae6", "cyan": "#6cc6d4", "white": INK, "brightblack": "#8b93a1", "brightred": "#ff9d94",
    "brightgreen": "#a4e3b1", "brightyellow": "#f0d08c", "brightblue": "#9cc6ff", "brightmagenta": "#e0b3f0",
    "brightcyan": "#8fdce8", "brightwhite": "#ffffff",
}  # fmt: skip

Run = tuple[str, str, bool]
Line = tuple[Run, ...]


def read_asciicast(text: str) -> tuple[dict[str, Any], list[tuple[float, str]]]:
    """Header, and output by time."""
    header, *events = map(json.loads, text.splitlines())
    return header, [(at, output) for at, kind, output in events if kind == "o"]


def screens(header: dict[str, Any], events: Sequence[tuple[float, str]]) -> list[tuple[float, list[Line]]]:
    """What the terminal shows, by the time from which it does."""
    import pyte

    screen = pyte.Screen(header["width"], header["height"])
    stream = pyte.Stream(screen)
    shown: list[tuple[float, list[Line]]] = []
    for at, output in events:
        stream.feed(output)
        lines = [tuple(_runs(screen, row)) for row in range(screen.lines)]
        if shown and at - shown[-1][0] < FRAME:
            shown[-1] = (shown[-1][0], lines)
        elif not shown or shown[-1][1] != lines:
            shown.append((at, lines))
    return shown


def _runs(screen: Any, row: int) -> Iterator[Run]:
    """A row's texts of one look each: text, colour, whether it is bold."""
    cells = [screen.buffer[row][column] for column in range(screen.columns)]
    for (colour, bold), group in groupby(cells, key=lambda cell: (_colour(cell.fg), cell.bold)):
        yield "".join(cell.data for cell in group), colour, bold


def _colour(name: str) -> str:
    if name in ("default", ""):
        return INK
    return COLOURS.get(name) or f"#{name}"


def picture(text: str) -> str:
    """The SVG of an asciicast's text."""
    header, events = read_asciicast(text)
    frames = screens(header, events)
    lines: dict[Line, str] = {}
    for _, screen in frames:
        for line in screen:
            lines.setdefault(line, f"l{len(lines)}")
    length = frames[-1][0] + LAST
    width, height = round(header["width"] * COLUMN + 2 * PAD), header["height"] * ROW + 2 * PAD
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            f' role="img" aria-label="{escape(header["title"])}">',
            f"<style>text{{font:{FONT}px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;"
            f"fill:{INK}}}g.f{{visibility:hidden}}</style>",
            f'<rect width="{width}" height="{height}" rx="8" fill="{GROUND}"/>',
            "<defs>",
            *(f'<text id="{name}">{_draw(line)}</text>' for line, name in lines.items() if _draw(line)),
            "</defs>",
            *_play(frames, lines, length),
            "</svg>\n",
        ]
    )


def _draw(line: Line) -> str:
    """A line's runs at their columns; white space at its end is left out."""
    drawn, column, used = [], 0, len("".join(text for text, *_ in line).rstrip())
    for text, colour, bold in line:
        kept = text[: max(0, used - column)]
        if kept.strip():
            look = (f' fill="{colour}"' if colour != INK else "") + (' font-weight="600"' if bold else "")
            drawn.append(
                f'<tspan x="{column * COLUMN:g}" textLength="{len(kept) * COLUMN:g}"{look}>{escape(kept)}</tspan>'
            )
        column += len(text)
    return "".join(drawn)


def _play(frames: Sequence[tuple[float, list[Line]]], lines: dict[Line, str], length: float) -> Iterator[str]:
    """A group for each screen, which is visible from its time to the next one's, again and again."""
    ends = [*(at for at, _ in frames[1:]), length]
    for (at, screen), end in zip(frames, ends, strict=True):
        uses = "".join(
            f'<use href="#{lines[line]}" x="{PAD}" y="{PAD + (row + 1) * ROW - 4}"/>'
            for row, line in enumerate(screen)
            if _draw(line)
        )
        times = f"0;{at / length:.4f};{min(1.0, end / length):.4f};1"
        yield (
            f'<g class="f">{uses}<animate attributeName="visibility" values="hidden;visible;hidden;hidden"'
            f' keyTimes="{times}" dur="{length:g}s" calcMode="discrete" repeatCount="indefinite"/></g>'
        )


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(picture(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
