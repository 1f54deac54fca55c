"""What differs between two runs, two bundles, or a run and a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inspection.subject import Record, Subject
from trainer.run.run import differences, training_settings

WORDS = ("in A", "in B")


@dataclass(frozen=True)
class Section:
    """``lines``: a difference each; ``note``: what could not be compared, and why."""

    name: str
    lines: list[str]
    note: str = ""

    @property
    def equal(self) -> bool:
        return not self.lines

    def to_json(self) -> Record:
        return {"equal": self.equal, "differences": self.lines} | ({"note": self.note} if self.note else {})


def compare(before: Subject, after: Subject) -> list[Section]:
    """Everything that is recorded but the scores."""
    sections = [
        Section("task", _lines({"task": before.task}, {"task": after.task})),
        _compare_recipes(before, after),
        Section("base model", _lines(_model(before), _model(after))),
        Section("data", _lines(_data(before), _data(after))),
        Section("labels", [*_compare_labels(before.labels, after.labels)]),
        _compare_versions(before, after),
    ]
    if before.kind == after.kind == "bundle":
        sections.append(Section("graphs", [*_compare_graphs(before, after)]))
    if before.kind == after.kind:
        sections.append(Section("size", _lines(_sizes(before), _sizes(after))))
    return sections


def _lines(before: Any, after: Any) -> list[str]:
    return differences(before, after, words=WORDS)


def _compare_recipes(before: Subject, after: Subject) -> Section:
    """A bundle has some sections of the recipe only: they are compared with the same sections of a run's."""
    recipes = [_settings(each) for each in (before, after)]
    if before.kind == after.kind:
        return Section("recipe", _lines(*recipes))
    shared = ", ".join(name for name in recipes[0] if name in recipes[1])
    parts = [_restrict(recipes[0], recipes[1]), _restrict(recipes[1], recipes[0])]
    return Section("recipe", _lines(*parts), f"a bundle records {shared or 'nothing'} of it")


def _restrict(values: Any, others: Any) -> Any:
    """What others have a key for, too: a bundle records how weights were made, not where reports went."""
    if not (isinstance(values, dict) and isinstance(others, dict)):
        return values
    return {key: _restrict(value, others[key]) for key, value in values.items() if key in others}


def _settings(subject: Subject) -> Record:
    if subject.kind == "bundle":
        return {name: value for name, value in subject.recipe.items() if value is not None}
    return {name: value for name, value in training_settings(subject.recipe).items() if name != "task"}


def _model(subject: Subject) -> Record:
    return {key: subject.model.get(key) for key in ("id", "revision", "sha256")}


def _data(subject: Subject) -> Record:
    splits = subject.data.get("splits", {})
    return {name: {key: split.get(key) for key in ("rows", "sha256")} for name, split in splits.items()}


def _compare_labels(before: list[str], after: list[str]) -> Iterator[str]:
    if gone := [label for label in before if label not in after]:
        yield f"only {WORDS[0]}: {', '.join(gone)}"
    if new := [label for label in after if label not in before]:
        yield f"only {WORDS[1]}: {', '.join(new)}"
    if before != after and sorted(before) == sorted(after):
        yield "the same labels in another order"


def _compare_versions(before: Subject, after: Subject) -> Section:
    """Of packages that both record: an export records more than a training."""
    shared = [name for name in before.versions if name in after.versions]
    versions = [{name: each.versions[name] for name in shared} for each in (before, after)]
    return Section("versions", _lines(*versions))


def _compare_graphs(before: Subject, after: Subject) -> Iterator[str]:
    """The variants in the order that they serve in, and the files of those that both have."""
    sides = [{each["variant"]: each for each in subject.facts["variants"]} for subject in (before, after)]
    yield from _lines({"variants": ", then ".join(sides[0])}, {"variants": ", then ".join(sides[1])})
    for name in (name for name in sides[0] if name in sides[1]):
        files = [{"opset": side[name]["opset"], **side[name]["graphs"]} for side in sides]
        yield from _lines({name: files[0]}, {name: files[1]})


def _sizes(subject: Subject) -> Record:
    if subject.kind == "bundle":
        return {"bytes": subject.size}
    return {"parameters": (subject.facts.get("size") or {}).get("parameters")}
