"""What was seen, as the entries of a recipe with their reasons."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onboarding.init.draft import Entry
from onboarding.init.files import Files
from onboarding.init.look import Seen
from onboarding.init.models import BaseModel
from onboarding.init.rehearsal import Rehearsal
from onboarding.init.settings import choose_answer_lengths, choose_lengths, choose_training
from onboarding.init.splits import Split
from onboarding.init.texts import measure
from stores.targets import is_target
from trainer.data.rows import texts_of
from trainer.recipe.recipe import GENERATING
from trainer.tasks.prompt_rows import text_of_target

_TRAINED = 0.72
"""The share of the rows that are trained on, beside test and validation."""


def first_entries(seen: Seen, told: str, base: BaseModel, split: Split, folder: Path) -> Iterator[Entry]:
    """What columns and files tell. ``told`` is of the language, paths start at ``folder``."""
    roles = seen.roles
    yield Entry("task", roles.task, roles.reasons["task"], roles.alternatives.get("task", ()))
    yield Entry("model", _relative(base.id, folder) if Path(base.id).is_dir() else base.id, f"{told}; {base.why}")
    for name, value in {**roles.head, **base.head}.items():
        yield _entry(f"model_head.{name}", value, seen, base)
    yield from _file_entries(seen.files, split, folder)
    for name, value in seen.reading.options._asdict().items():
        if value is not None:
            written = list(value) if isinstance(value, tuple) else value
            yield Entry(f"data.{name}", written, seen.reading.reasons.get(f"data.{name}", ""))
    for name, value in {**roles.data, **base.data}.items():
        is_path = name == "label_names" and isinstance(value, str)
        yield _entry(f"data.{name}", _relative(value, folder) if is_path else value, seen, base)


def _entry(key: str, value: Any, seen: Seen, base: BaseModel) -> Entry:
    roles = seen.roles
    why = roles.reasons.get(key) or base.reasons.get(key, "")
    written = list(value) if isinstance(value, tuple) else value
    return Entry(key, written, why, roles.alternatives.get(key.removeprefix("data."), ()))


def _file_entries(files: Files, split: Split, folder: Path) -> Iterator[Entry]:
    if files.dataset:
        why = files.reasons.get("data.dataset", "")
        yield Entry("data.dataset", _relative(str(files.dataset), folder), why)
        yield Entry("data.train", files.train[0])
    else:
        paths = [_relative(path, folder) for path in files.train]
        yield Entry("data.train", paths[0] if len(paths) == 1 else paths)
    for name, value in split.data.items():
        is_file = name in ("test", "validation") and not files.dataset and value == getattr(files, name)
        instead = split.alternatives if name == list(split.data)[-1] else ()
        written = _relative(value, folder) if is_file else value
        yield Entry(f"data.{name}", written, split.reasons.get(f"data.{name}", ""), instead)


def _relative(path: str, folder: Path) -> str:
    return path if is_target(path) else os.path.relpath(Path(path).resolve(), folder.resolve())


def later_entries(seen: Seen, base: BaseModel, rehearsal: Rehearsal) -> Iterator[Entry]:
    """What the rows tell once they are split."""
    if rehearsal.skipped:
        one = rehearsal.skipped == 1
        rows = "1 row cannot be used and is" if one else f"{rehearsal.skipped} rows cannot be used and are"
        why = f"{rows} left out: {rehearsal.example}"
        yield Entry("data.unusable_rows", "skip", why)
    if splits := rehearsal.splits:
        yield from _length_entries(seen.roles.task, rehearsal)
        yield from choose_training(seen.roles.task, len(splits.train), splits.counts["train"], base)
    else:
        yield from choose_training(seen.roles.task, int(seen.rows * _TRAINED), {}, base)


def _length_entries(task: str, rehearsal: Rehearsal) -> list[Entry]:
    assert rehearsal.splits
    inputs, count = rehearsal.splits.train.inputs, rehearsal.token_counter()
    limit = rehearsal.setup.base.max_length if rehearsal.setup else None
    if task in GENERATING:
        prompts = measure([" ".join(texts_of(each)) for each in inputs], count)
        targets = measure([text_of_target(each) for each in rehearsal.splits.train.targets], count)
        return choose_answer_lengths(prompts, targets, limit, together=task == "text-generation")
    alone = task == "feature-extraction"
    texts = [text for each in inputs for text in (texts_of(each) if alone else [" ".join(texts_of(each))])]
    return choose_lengths(task, measure(texts, count), limit, pair=isinstance(inputs[0], dict))
