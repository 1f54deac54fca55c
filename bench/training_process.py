"""One training, by Tuneship or by transformers' Trainer, whose times on the monotonic clock are written as JSON.

    python -m bench.training_process tuneship|transformers RECIPE RESULT [KEY=VALUE …]

Trainer has its defaults but for the recipe's model, rows, batch size, and epochs or steps: AdamW at 5e-5, linear
schedule, no warmup, padding to a batch's longest row, transformers' own head, fp32.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main(system: str, recipe: str, result: str, *overrides: str) -> None:
    from transformers import TrainerCallback

    times: dict[str, Any] = {}

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Notes when the first and the last step were done."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            times.setdefault("first_step", time.monotonic())
            times.update(last_step=time.monotonic(), steps=state.global_step)

        def on_train_end(self, *_: Any, **__: Any) -> None:
            times["trained"] = time.monotonic()

    run = _tuneship if system == "tuneship" else _transformers
    times["accuracy"] = run(Path(recipe), list(overrides), Clock())
    times["ended"] = time.monotonic()
    Path(result).write_text(json.dumps(times))


def _tuneship(recipe: Path, overrides: list[str], clock: Any) -> float:
    """As the command does it."""
    from export.rehearsal import rehearse
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    with tempfile.TemporaryDirectory() as folder:
        run = train(load_recipe(recipe, overrides), Path(folder) / "run", check=rehearse, callbacks=[clock])
        return float(run.read_record()["metrics"]["test"]["accuracy"])


def _transformers(recipe: Path, overrides: list[str], clock: Any) -> float:
    import numpy as np
    from datasets import ClassLabel, load_dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from trainer.model.base_model import find_base_model
    from trainer.recipe.recipe import load_recipe

    settings = load_recipe(recipe, overrides)
    data, training = settings.data, settings.training
    text, label = str(data.text or "text"), str(data.label or "label")
    base = find_base_model(settings.model).folder
    tokenizer = AutoTokenizer.from_pretrained(base)
    with tempfile.TemporaryDirectory() as folder:
        rows = load_dataset("csv", data_files={"train": data.train, "test": data.test}, cache_dir=folder)
        names = sorted(set(rows["train"][label]))
        rows = rows.cast_column(label, ClassLabel(names=names)).rename_column(label, "labels")
        rows = rows.map(lambda batch: tokenizer(batch[text], truncation=True, max_length=256), batched=True)
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(names))
        arguments = TrainingArguments(
            output_dir=f"{folder}/state",
            per_device_train_batch_size=training.per_device_train_batch_size,
            num_train_epochs=training.num_train_epochs or 3,
            max_steps=training.max_steps or -1,
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model, arguments, DataCollatorWithPadding(tokenizer), rows["train"], rows["test"],
            compute_metrics=lambda found: {"accuracy": float(np.mean(found.predictions.argmax(-1) == found.label_ids))},
            callbacks=[clock],
        )  # fmt: skip
        trainer.train()
        return float(trainer.evaluate()["eval_accuracy"])


if __name__ == "__main__":
    main(*sys.argv[1:])
