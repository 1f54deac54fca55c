"""The names of the findings, as ``--fail-on`` takes them."""

from __future__ import annotations

from serving.errors import InputError, did_you_mean

NAMES = (
    "label-errors", "leaks", "duplicates", "conflicts", "near-conflicts", "odd-mentions", "label-spellings",
    "rare-labels", "split-labels", "truncation", "encoding", "language", "personal-data", "unusable-rows",
)  # fmt: skip


def parse_names(text: str) -> list[str]:
    """With commas between them; raises InputError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in NAMES]:
        meant = did_you_mean(unknown[0], NAMES)
        message = f"--fail-on: {unknown[0]!r} is no check; accepted are: {', '.join(NAMES)}{meant}"
        raise InputError(message, field="--fail-on")
    return names
