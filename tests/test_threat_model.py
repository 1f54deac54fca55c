"""The tests that docs/threat-model.md names are there, and every threat has what holds it."""

from __future__ import annotations

import re

from tests.paths import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")


def defines(file: str, test: str) -> bool:
    """Whether a file of that name has that test."""
    return any(f"def {test}(" in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob(file))


def test_every_test_named_exists() -> None:
    """A test that was renamed is renamed on the page."""
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 40
    assert [f"{file}::{test}" for file, test in named if not defines(file, test)] == []


def test_every_threat_is_answered() -> None:
    """A row without a test says that nothing holds."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| to ")
    ]
    assert len(rows) > 20
    assert [threat for threat, holds, test in rows if not test and not holds.startswith("nothing")] == []
