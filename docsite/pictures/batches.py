"""docs/pictures/batches.svg: how the server's own queue puts waiting texts into batches.

python -m docsite.pictures.batches > docs/pictures/batches.svg
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.scheduler import Queue, Row

WAITING = (12, 40, 11, 84, 14, 38, 10, 13, 44, 90, 9, 12, 36, 11)
"""Tokens of the texts that wait, in the order of their arrival."""

UNIT, HEIGHT, GAP, LEFT = 2.4, 13, 5, 56
"""Pixels a token, of a bar, between bars; where bars begin."""

INK, TEXT, PAD, FIRST = "#1b1f24", "#0072b2", "#e69f00", "#d55e00"
"""Blue and orange are told apart by everybody; padding is hatched besides."""


def form_batches(lengths: Sequence[int]) -> list[list[Row]]:
    """The batches in the order in which they run; the most urgent row of each is its smallest number."""
    queue = Queue(BatchShape(), QueueLimits(), seconds_per_token=1e-4)
    for at, tokens in enumerate(lengths):
        queue.put([Row(tokens)], now=at * 1e-4)
    batches = []
    while queue:
        batches.append(queue.take(now=1e-2).batch)
    return batches


def picture() -> str:
    """Above what waits, below the batches."""
    rows = [*_waiting(), *_batches()]
    height = round(max(float(row.partition('y="')[2].partition('"')[0]) for row in rows) + 30)
    width = round(LEFT + UNIT * 256 + 24)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            ' font-family="system-ui, sans-serif" font-size="12" role="img" aria-labelledby="title">',
            '<title id="title">Fourteen waiting texts of 9 to 90 tokens, and the batches that the server makes of'
            " them</title>",
            f'<defs><pattern id="pad" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6"'
            f' fill="#fff"/><path d="M0 6L6 0" stroke="{PAD}" stroke-width="1.6"/></pattern></defs>',
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            *rows,
            "</svg>\n",
        ]
    )


def _waiting() -> Iterator[str]:
    yield _words(8, 20, "Waiting, in the order of arrival (a bar a text, its length in tokens)", bold=True)
    for at, tokens in enumerate(WAITING):
        yield from _bar(32 + at * (HEIGHT + GAP), tokens, 0, f"{at + 1}", first=False)


def _batches() -> Iterator[str]:
    top = 32 + len(WAITING) * (HEIGHT + GAP) + 32
    yield _words(8, top - 12, "Batches, in the order in which they run", bold=True)
    for number, batch in enumerate(form_batches(WAITING), 1):
        longest, urgent = max(row.tokens for row in batch), min(row.number for row in batch)
        padding = sum(longest - row.tokens for row in batch)
        texts = "text" if len(batch) == 1 else "texts"
        summary = f"call {number}: {len(batch)} {texts}, {longest * len(batch)} tokens, {padding} of them padding"
        yield _words(LEFT + UNIT * 100, top + 11, summary)
        for row in batch:
            yield from _bar(top, row.tokens, longest - row.tokens, f"{row.number + 1}", first=row.number == urgent)
            top += HEIGHT + GAP
        top += 12
    yield _words(8, top + 6, "Blue: a text's own tokens. Hatched: padding. Orange outline: the most urgent text.")


def _bar(top: float, tokens: int, padding: int, label: str, *, first: bool) -> Iterator[str]:
    outline = f' stroke="{FIRST}" stroke-width="2.5"' if first else ""
    yield _words(LEFT - 10, top + 11, label, anchor="end")
    yield f'<rect x="{LEFT}" y="{top}" width="{tokens * UNIT:g}" height="{HEIGHT}" fill="{TEXT}"{outline}/>'
    if padding:
        yield (
            f'<rect x="{LEFT + tokens * UNIT:g}" y="{top}" width="{padding * UNIT:g}" height="{HEIGHT}"'
            f' fill="url(#pad)" stroke="{PAD}"/>'
        )


def _words(left: float, top: float, words: str, *, bold: bool = False, anchor: str = "start") -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{left:g}" y="{top}" fill="{INK}" text-anchor="{anchor}"{weight}>{words}</text>'


if __name__ == "__main__":
    sys.stdout.write(picture())
