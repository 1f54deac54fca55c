"""What each tracker does, on top of transformers' callback for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

DIGEST = "bundle_sha256"
PROJECT = "tuneship"


@dataclass(frozen=True)
class Results:
    """What a finished training has beside its curves: figures are PNG files."""

    metrics: Mapping[str, float]
    step: int
    figures: Sequence[Path]


class Tracker(ABC):
    """One tracked run; ``folder`` is where a tracker without a server keeps it."""

    callback: TrainerCallback

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def open(self, run_id: str | None, name: str, config: Mapping[str, Any]) -> str:
        """Begin, or go on with ``run_id``; returns the run's id."""

    @abstractmethod
    def log_results(self, results: Results) -> None: ...

    @abstractmethod
    def close(self, complete: bool) -> None:
        """``complete``: nothing broke off the training."""

    @abstractmethod
    def log_digest(self, run_id: str, digests: Mapping[str, str]) -> None:
        """Of a bundle, to a run that is closed."""


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys; lists are values."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
