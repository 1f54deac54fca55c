"""Small data files in the forms that people bring."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.tiny import toy_rows, write_csv

TEXTS = [text for text, _ in toy_rows()]
LABELS = [label for _, label in toy_rows()]


def csv(folder: Path, name: str = "rows.csv", **columns: Sequence[Any]) -> Path:
    """A file of these columns, whose header is their names."""
    return write_csv(folder / name, list(zip(*columns.values(), strict=True)), list(columns))


def jsonl(folder: Path, rows: Sequence[Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def toy(folder: Path, name: str = "rows.csv") -> Path:
    """Texts with one of three labels."""
    return csv(folder, name, text=TEXTS, intent=LABELS)
