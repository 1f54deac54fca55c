"""Trackio: its own folder on this machine, or the Space of TRACKIO_SPACE_ID."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Any

import trackio
from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TrackioCallback

from trainer.run.tracking.tracker import PROJECT, Results, Tracker, flatten


class _Curves(TrackioCallback):  # type: ignore[misc]
    """Into the run that Tuneship opens and closes."""

    def setup(self, args: TrainingArguments, state: TrainerState, model: Any, **_: Any) -> None:
        self._initialized = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The results are still to come."""


class Trackio(Tracker):
    def open(self, run_id: str | None, name: str, config: Mapping[str, Any]) -> str:
        run_id = run_id or f"{name}-{secrets.token_hex(4)}"
        self._init(run_id, flatten(config))
        self.callback = _Curves()
        return run_id

    def log_results(self, results: Results) -> None:
        figures = {f"figures/{path.stem}": trackio.Image(str(path)) for path in results.figures}
        trackio.log({**results.metrics, **figures, "train/global_step": results.step})

    def close(self, complete: bool) -> None:
        trackio.finish()

    def log_digest(self, run_id: str, digests: Mapping[str, str]) -> None:
        self._init(run_id, {})
        trackio.log({name: trackio.Markdown(digest) for name, digest in digests.items()})
        trackio.finish()

    def _init(self, run_id: str, config: dict[str, Any]) -> None:
        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        trackio.init(project=project, name=run_id, config=config, resume="allow", embed=False)
