"""How often a fault is tried, and what is told of it in docs/reliability.md.

The tests are short by default. ``TUNESHIP_TEST_LONG=1`` tries everything as often as the page says.
``FAULTS_RESULTS=FILE`` collects the rows of the page's table, which `python -m tests.faults` writes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.faults.callers import Tally

LONG = bool(os.environ.get("TUNESHIP_TEST_LONG"))


def times(short: int, long: int) -> int:
    """How often to try."""
    return long if LONG else short


def record(fault: str, tried: int, unit: str, tally: Tally | None = None, seen: str = "") -> None:
    """Tell what was tried, how many answers were compared meanwhile, and how else it shows that it held."""
    if path := os.environ.get("FAULTS_RESULTS"):
        row = {
            "fault": fault, "tried": tried, "unit": unit, "seen": seen,
            "compared": tally.compared if tally else 0, "wrong": len(tally.wrong) if tally else 0,
        }  # fmt: skip
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
