"""The saved state from which an interrupted training resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from serving.errors import UserError, shorten
from trainer.run.run import write_atomically

CALLBACKS = ("TrainerControl", "EarlyStoppingCallback")
"""Those whose state is resumed: Trainer makes any object that a state names anew, with whatever it says of it."""


class StateNotRead(UserError):
    """A saved state holds more than tensors and numbers, or is damaged."""


@dataclass(frozen=True)
class SavedState:
    """``best`` is the best checkpoint's folder, if one is known yet, ``ended`` whether the training was over."""

    folder: Path
    step: int
    best: Path | None
    ended: bool


def newest_state(root: Path) -> SavedState | None:
    """The newest complete state; incomplete ones are removed."""
    for folder in sorted(root.glob("checkpoint-*"), key=_step, reverse=True):
        state = _trainer_state(folder)
        if state is not None:
            return _open_state(root, folder, state)
        shutil.rmtree(folder)
    return None


def _open_state(root: Path, folder: Path, state: dict[str, Any]) -> SavedState:
    """The best checkpoint's path is rewritten, as the run folder may have moved, and other callbacks are left out."""
    step = state["best_global_step"]  # None where the state was saved before the first evaluation
    best = root.absolute() / f"checkpoint-{step}" if step else None
    callbacks = {name: each for name, each in state["stateful_callbacks"].items() if name in CALLBACKS}
    moved = {**state, "best_model_checkpoint": best and str(best), "stateful_callbacks": callbacks}
    write_atomically(folder / "trainer_state.json", json.dumps(moved, indent=2) + "\n")
    control = state["stateful_callbacks"]["TrainerControl"]["args"]
    return SavedState(folder, state["global_step"], best, control["should_training_stop"])


def _trainer_state(folder: Path) -> dict[str, Any] | None:
    """Trainer writes it last; None where it is missing or incomplete."""
    try:
        state: dict[str, Any] = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state


@contextmanager
def readable_state(state: SavedState) -> Iterator[None]:
    """torch's refusal of a pickle, which is read as weights only, becomes StateNotRead."""
    try:
        yield
    except UnpicklingError as error:
        raise StateNotRead(
            f"{state.folder}: a file of the state is damaged, or holds more than tensors and is not loaded"
            f" ({shorten(str(error).splitlines()[0], 100)}); remove this folder and repeat the command, and see who can"
            " write there"
        ) from error


def _step(folder: Path) -> int:
    suffix = folder.name.rpartition("-")[2]
    return int(suffix) if suffix.isdecimal() else -1
