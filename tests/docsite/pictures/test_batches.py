"""The figure of the batches is what the server's queue does."""

from __future__ import annotations

from docsite.pictures.batches import WAITING, form_batches, picture
from tests.paths import ROOT


def test_the_figure_is_current() -> None:
    """docs/pictures/batches.svg is what the code draws (make docs writes it)."""
    assert (ROOT / "docs" / "pictures" / "batches.svg").read_text() == picture()


def test_every_text_runs_once_and_the_oldest_first() -> None:
    """Which the page beside the figure says."""
    batches = form_batches(WAITING)
    assert sorted(row.number for batch in batches for row in batch) == list(range(len(WAITING)))
    urgent = [min(row.number for row in batch) for batch in batches]
    assert urgent == sorted(urgent)
    assert urgent[0] == 0


def test_the_page_tells_what_the_figure_shows() -> None:
    """Its numbers of the first call."""
    first = form_batches(WAITING)[0]
    longest = max(row.tokens for row in first)
    assert sum(longest - row.tokens for row in first) == 2
    assert {row.tokens for row in first} == {11, 12}
