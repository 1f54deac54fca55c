"""The pictures that are kept in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docsite.pictures.screenshots import MOST_BYTES
from tests.paths import ROOT

FOLDER = ROOT / "docs" / "pictures"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
SHOWN = {Path(link).name for page in PAGES for link in re.findall(r"\]\(([^)]+\.(?:png|svg|cast))\)", page.read_text())}


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_each_is_small_and_on_a_page(path: Path) -> None:
    """So that a clone stays small, and nobody keeps a picture up to date in vain."""
    assert path.stat().st_size <= MOST_BYTES
    assert path.name in SHOWN
