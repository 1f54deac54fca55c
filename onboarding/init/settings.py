"""Keys that depend on the rows as they were split: how long, how often, by which metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onboarding.init.draft import Entry
from onboarding.init.models import BaseModel
from onboarding.init.texts import Lengths
from trainer.setup.data_warnings import MANY_TRUNCATED, STRONG_IMBALANCE

_STEPS = (32, 64, 96, 128, 192, 256, 384, 512)
_STEPS_OF_ANSWERS = (*_STEPS, 768, 1024, 1536, 2048)
_LONGEST, _LONGEST_ANSWER = _STEPS_OF_ANSWERS[-1], 1024
_WINDOW = 256
_USUALLY = 0.995
"""The share of the texts that must fit whole."""

_EPOCHS = ((200, 15), (1_000, 8), (5_000, 5), (50_000, 4), (200_000, 2))
_SMALL_BATCHES = 2_000
_CLASSES = ("text-classification", "multi-label-classification", "regression")
_GENERATING = ("text2text-generation", "text-generation")


def choose_lengths(task: str, lengths: Lengths, limit: int | None, *, pair: bool) -> list[Entry]:
    """``limit`` is the base model's, in tokens; none for question answering, which reads windows of its own."""
    if task == "question-answering":
        return []
    most = min(limit or _STEPS[-1], _STEPS[-1])
    wanted = lengths.at(1) if lengths.at(1) <= _WINDOW else lengths.at(_USUALLY)  # short texts are not padded to it
    if task in _CLASSES and not pair and lengths.longer(most) > MANY_TRUNCATED:
        why = f"{lengths.describe()}: they are read in windows of {_WINDOW} tokens, and none is cut at its end"
        return [Entry("data.long_text", "windows", why), Entry("data.max_length", min(_WINDOW, most))]
    length = next((step for step in _STEPS if wanted <= step <= most), most)
    why = lengths.describe() + (
        f"; {lengths.longer(length):.1%} are longer than this" if lengths.at(1) > length else ""
    )
    return [Entry("data.max_length", length, why)]


def choose_answer_lengths(prompts: Lengths, targets: Lengths, limit: int | None, *, together: bool) -> list[Entry]:
    """Of generated texts; ``together`` where the prompt and the answer share the model's positions, ``limit``."""
    most = limit or _LONGEST
    answer = min(-(-targets.at(_USUALLY) // 16) * 16, _LONGEST_ANSWER, most // 2 if together else most)
    wanted = prompts.at(_USUALLY) + answer if together else max(prompts.at(_USUALLY), answer)
    room = most - answer if together else most
    length = next((step for step in _STEPS_OF_ANSWERS if wanted <= step <= room), room)
    prompt = "prompt with its answer" if together else "text or answer"
    why = f"the tokens of a {prompt}; {prompts.describe('prompts' if together else 'texts')}"
    return [
        Entry("data.max_length", length, why),
        Entry("data.max_new_tokens", answer, targets.describe("answers") + _cut(targets, answer)),
    ]


def _cut(lengths: Lengths, most: int) -> str:
    share = lengths.longer(most)
    return f"; {share:.1%} are longer, and are learned in part" if share else ""


def choose_training(task: str, rows: int, counts: Mapping[str, int], base: BaseModel) -> list[Entry]:
    """``rows`` are those that are trained on, ``counts`` how many each label has."""
    values: dict[str, Any] = dict(base.training)
    reasons: dict[str, str] = dict(base.reasons)
    if "per_device_train_batch_size" not in values and rows < _SMALL_BATCHES:
        values["per_device_train_batch_size"] = 16
        reasons["training.per_device_train_batch_size"] = "few rows: smaller batches, and so more steps"
    epochs = 3 if task in _GENERATING else next((epochs for most, epochs in _EPOCHS if rows < most), 1)
    values["num_train_epochs"] = epochs
    often = "; few rows are read more often" if rows < 5_000 and task not in _GENERATING else ""
    reasons["training.num_train_epochs"] = f"{rows:,} rows are trained on{often}"
    if task == "text-classification" and is_imbalanced(counts):
        values["metric_for_best_model"] = "macro_f1"
        reasons["training.metric_for_best_model"] = "some labels are rare: each label counts the same, not each row"
    values["seed"] = 0
    return [Entry(f"training.{name}", value, reasons.get(f"training.{name}", "")) for name, value in values.items()]


def is_imbalanced(counts: Mapping[str, int]) -> bool:
    return bool(counts) and max(counts.values()) >= STRONG_IMBALANCE * max(min(counts.values()), 1)
