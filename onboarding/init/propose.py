"""A data file → a recipe that a training takes, with why it says what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onboarding.init.draft import Draft
from onboarding.init.entries import first_entries, later_entries
from onboarding.init.inference import describe_unused
from onboarding.init.look import Seen, look
from onboarding.init.models import BaseModel, choose_model
from onboarding.init.rehearsal import Rehearsal, rehearse
from onboarding.init.roles import Asked
from onboarding.init.splits import choose_split
from onboarding.init.texts import find_languages, find_personal_data
from trainer.data.rows import number_groups, texts_of
from trainer.recipe.recipe import REDACTED
from trainer.setup.data_warnings import warnings_of
from trainer.setup.splits import Splits

FEW_TEST_ROWS = 100


@dataclass(frozen=True)
class Proposal:
    """``notes`` are what a person should look at."""

    draft: Draft
    seen: Seen
    rehearsal: Rehearsal
    notes: list[str]

    def to_json(self, recipe: Path) -> dict[str, Any]:
        splits = self.rehearsal.splits
        return {
            "recipe": str(recipe),
            "accepted": not self.rehearsal.problem,
            "problem": self.rehearsal.problem or None,
            "checked_with_model": self.rehearsal.setup is not None,
            "rows": {name: len(rows) for name, rows in splits.by_name()} if splits else {},
            "columns": list(self.seen.columns),
            "choices": [entry.to_json() for entry in self.draft.ordered()],
            "notes": self.notes,
        }


def propose(data: str, asked: Asked, recipe: Path) -> Proposal:
    """Of a file, a folder or a URL, for a recipe at this path, which is not written. Raises InputError."""
    seen = look(data, asked)
    languages = find_languages(seen.texts())
    base = BaseModel(asked.model, "--model names it") if asked.model else choose_model(seen.roles.task, languages.one)
    label = seen.roles.data.get("label")
    split = choose_split(seen.table, seen.columns, seen.files, seen.split_columns, label, seen.rows)
    title = f"A recipe for {seen.files.name}, by tuneship init: comments say why. Change what you know better."
    draft = Draft(list(first_entries(seen, languages.told, base, split, recipe.parent)), [title])
    rehearsal = rehearse(draft.to_mapping(), recipe.parent, str(recipe), rendered=seen.roles.rendered)
    draft = replace(draft, entries=[*draft.entries, *later_entries(seen, base, rehearsal)])
    if not rehearsal.problem:
        whole = rehearse(draft.to_mapping(), recipe.parent, str(recipe), rendered=seen.roles.rendered)
        rehearsal = replace(whole, skipped=rehearsal.skipped, example=rehearsal.example)
    notes = list(_notes(seen, rehearsal, base))
    return Proposal(replace(draft, notes=notes), seen, rehearsal, notes)


def _notes(seen: Seen, rehearsal: Rehearsal, base: BaseModel) -> Iterator[str]:
    yield from seen.notes
    yield from seen.roles.notes
    splits = rehearsal.splits
    if rehearsal.unreachable:
        checked = "the rows were checked without it" if splits else "so the rows could not be checked"
        yield f"{base.id} cannot be had here, {checked}: {rehearsal.unreachable}"
    if splits:
        yield from _notes_of_rows(splits, seen.roles.task)
    used = seen.roles.used() | set(seen.split_columns.names())
    if unused := describe_unused(seen.columns, used):
        yield f"not learned from: {'; '.join(unused)}"


def _notes_of_rows(splits: Splits, task: str) -> Iterator[str]:
    yield from (warning for warning in warnings_of(splits, 0.0, "") if "left out" not in warning)
    groups = number_groups([text for _, rows in splits.by_name() for text in rows.text_keys()])
    if repeated := len(groups) - len(set(groups.tolist())):
        yield f"{repeated} rows repeat the text of another; tuneship check says which"
    texts = [" ".join(texts_of(inputs)) for _, rows in splits.by_name() for inputs in rows.inputs]
    if found := find_personal_data(texts):
        told = ", ".join(f"{kind} {count}" for kind, count in found.most_common())
        yield f"personal data ({told}): see tuneship check{', and data.redact' if task in REDACTED else ''}"
    if len(splits.test) < FEW_TEST_ROWS:
        yield f"{len(splits.test)} test rows measure little: the interval of the score will be wide"
