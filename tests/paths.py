"""Where the project lies, and the public data sets beside it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
"""Absent on most machines; a test that needs it skips with a reason."""
