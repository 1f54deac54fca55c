"""What an import found and assumed, for the terminal and the report."""

from __future__ import annotations

from typing import Any

_MOST_LABELS = 12


def import_facts(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each."""
    imported, labels = record["imported"], record["labels"]
    shown = ", ".join(labels[:_MOST_LABELS]) + (f" and {len(labels) - _MOST_LABELS} more" if len(labels) > 12 else "")
    facts = [
        ("source", f"{record['model']['id']} ({imported['kind']})"),
        ("adapter of", imported.get("adapter of", "")),
        ("task", record["task"]),
        ("labels", shown),
        ("class", imported["class"]),
        ("head", imported["head"]),
        ("pooling", imported["pooling"]),
        ("length", f"{imported['length']} tokens"),
        ("tokenizer", imported["tokenizer"]),
        ("rows", f"{record['data']['splits']['test']['rows']:,} to prove on; {imported['held_back']}"),
        *(("assumed", each) for each in imported["assumed"]),
    ]
    return [(name, value) for name, value in facts if value]
