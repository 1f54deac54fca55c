"""Weights & Biases: in the run's folder, until `wandb sync` or WANDB_MODE=online sends it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # to its maker

import wandb
from transformers import TrainerState, TrainingArguments
from transformers.integrations import WandbCallback

from trainer.run.tracking.tracker import PROJECT, Results, Tracker


class _Curves(WandbCallback):  # type: ignore[misc]
    """Into the run that Tuneship opens."""

    def setup(self, args: TrainingArguments, state: TrainerState, model: Any, **_: Any) -> None:
        self._initialized = True
        wandb.define_metric("train/global_step")
        wandb.define_metric("*", step_metric="train/global_step", step_sync=True)


class Wandb(Tracker):
    def open(self, run_id: str | None, name: str, config: Mapping[str, Any]) -> str:
        run_id = run_id or secrets.token_hex(8)
        self._init(run_id, name=name, config=dict(config))
        self.callback = _Curves()
        return run_id

    def log_results(self, results: Results) -> None:
        wandb.run.summary.update(dict(results.metrics))
        wandb.log({f"figures/{path.stem}": wandb.Image(str(path)) for path in results.figures})

    def close(self, complete: bool) -> None:
        wandb.finish(exit_code=0 if complete else 1)

    def log_digest(self, run_id: str, digests: Mapping[str, str]) -> None:
        with self._init(run_id) as run:
            run.config.update(dict(digests), allow_val_change=True)

    def _init(self, run_id: str, **options: Any) -> Any:
        self.folder.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run_id,
            resume="allow",
            dir=os.environ.get("WANDB_DIR", str(self.folder)),
            mode=os.environ.get("WANDB_MODE", "offline"),
            **options,
        )
