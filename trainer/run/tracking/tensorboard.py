"""TensorBoard: event files in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.image import imread
from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback

from trainer.run.tracking.tracker import Results, Tracker


class _Curves(TensorBoardCallback):  # type: ignore[misc]
    """Into one folder, with the recipe in place of the Trainer's own arguments."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.logging_dir = str(folder)

    def write(self, first_step: int | None = None) -> Any:
        """A writer; what was written from ``first_step`` on by a training that then broke off is hidden."""
        return self._SummaryWriter(log_dir=self.logging_dir, purge_step=first_step)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.on_train_end(args, state, control)
        self.tb_writer = self.write(state.global_step + 1 if state.global_step else None)


class TensorBoard(Tracker):
    def open(self, run_id: str | None, name: str, config: Mapping[str, Any]) -> str:
        self.callback = _Curves(self.folder)
        with self.callback.write() as writer:
            writer.add_text("recipe", f"```\n{json.dumps(config, indent=2, ensure_ascii=False)}\n```")
        return self.folder.name

    def log_results(self, results: Results) -> None:
        with self.callback.write() as writer:
            for name, value in results.metrics.items():
                writer.add_scalar(name, value, results.step)
            for path in results.figures:
                writer.add_image(path.stem, imread(path), results.step, dataformats="HWC")

    def close(self, complete: bool) -> None:
        self.callback.on_train_end(None, None, None)

    def log_digest(self, run_id: str, digests: Mapping[str, str]) -> None:
        with _Curves(self.folder).write() as writer:
            for name, digest in digests.items():
                writer.add_text(name, digest)
