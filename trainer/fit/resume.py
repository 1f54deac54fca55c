"""What an interrupted training left behind, and whether it had come to its end."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.run.run import write_atomically


@dataclass(frozen=True)
class SavedState:
    """The newest whole state: Trainer's folder, the step it was saved at, the best one's folder."""

    folder: Path
    step: int
    best: Path
    ended: bool


def newest_state(root: Path) -> SavedState | None:
    """The newest state below ``root`` that was written to its end; half-written ones are removed.

    The best checkpoint's path is set to where the run folder is now.
    """
    found = sorted(root.glob("checkpoint-*"), key=_step, reverse=True)
    for folder in found:
        state = _trainer_state(folder)
        if state is not None:
            return _relocated(root, folder, state)
        shutil.rmtree(folder)
    return None


def _relocated(root: Path, folder: Path, state: dict[str, Any]) -> SavedState:
    best = root.absolute() / f"checkpoint-{state['best_global_step']}"
    moved = {**state, "best_model_checkpoint": str(best)}
    write_atomically(folder / "trainer_state.json", json.dumps(moved, indent=2) + "\n")
    control = state["stateful_callbacks"]["TrainerControl"]["args"]
    return SavedState(folder, state["global_step"], best, control["should_training_stop"])


def _trainer_state(folder: Path) -> dict[str, Any] | None:
    """The state file, which Trainer writes last; None where it is not there or not whole."""
    try:
        state: dict[str, Any] = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state


def _step(folder: Path) -> int:
    suffix = folder.name.rpartition("-")[2]
    return int(suffix) if suffix.isdecimal() else -1
