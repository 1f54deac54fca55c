"""What `tuneship check` finds of planted faults: wrong labels beside cleanlab's own defaults, and leaks."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cleanlab.classification import CleanLearning
from rich.console import Console

from bench.figures import Figure
from checks.check import Checked, check_subject
from checks.finding import Row
from checks.subject import Subject
from deploy.measurement.process import ROOT
from trainer.data.rows import Rows
from trainer.recipe.recipe import load_recipe
from trainer.setup.training_setup import TrainingSetup, prepare_setup

RECIPES = ("banking77", "sst2")
NOISE, SEED = 0.05, 0
LEAKS_EACH, SHORTEST_LEAK = 100, 20

Key = tuple[str, str, int]
"""A row's split, file and number."""


@dataclass(frozen=True)
class Planted:
    """The rows with wrong labels, and the test rows that repeat a training row, by how it was altered."""

    setup: TrainingSetup
    wrong: set[Key]
    leaks: dict[str, set[Key]]


def measure_checks(console: Console) -> list[Figure]:
    figures = []
    for name in RECIPES:
        console.print(f"checking {name}…")
        planted = plant(prepare_setup(load_recipe(ROOT / "recipes" / f"{name}.yaml"), Path.cwd()), random.Random(SEED))
        start, subject = time.monotonic(), Subject(planted.setup)
        checked = check_subject(subject)
        figures += [Figure(f"{name}: check", time.monotonic() - start, "s", note=f"{len(subject.rows):,} rows")]
        figures += label_figures(name, subject, checked, planted.wrong)
        figures += leak_figures(name, checked, planted.leaks)
    return figures


def plant(setup: TrainingSetup, rng: random.Random) -> Planted:
    """Leaks among the test rows, then wrong labels among all rows."""
    splits = setup.splits
    test, leaks = _plant_leaks(splits.train, splits.test, rng)
    right = replace(splits, test=test)
    train, validation, test = (_with_noise(rows, splits.labels, rng) for _, rows in right.by_name())
    noisy = replace(splits, train=train, validation=validation, test=test)
    wrong = {
        _key(name, rows, at)
        for (name, rows), (_, before) in zip(noisy.by_name(), right.by_name(), strict=True)
        for at in range(len(rows))
        if rows.targets[at] != before.targets[at]
    }
    return Planted(replace(setup, splits=noisy), wrong, leaks)


def _with_noise(rows: Rows, labels: list[str], rng: random.Random) -> Rows:
    targets = list(rows.targets)
    for at in rng.sample(range(len(rows)), round(NOISE * len(rows))):
        targets[at] = rng.choice([label for label in labels if label != targets[at]])
    return replace(rows, targets=targets)


def _plant_leaks(train: Rows, test: Rows, rng: random.Random) -> tuple[Rows, dict[str, set[Key]]]:
    sources = [at for at, text in enumerate(train.inputs) if len(text) >= SHORTEST_LEAK and " " in text]
    count = min(LEAKS_EACH, len(test) // (2 * len(ALTERED)), len(sources) // len(ALTERED))
    places = iter(rng.sample(range(len(test)), count * len(ALTERED)))
    drawn = iter(rng.sample(sources, count * len(ALTERED)))
    inputs, targets, leaks = list(test.inputs), list(test.targets), dict[str, set[Key]]()
    for name, alter in ALTERED.items():
        leaks[name] = set()
        for _ in range(count):
            at, source = next(places), next(drawn)
            inputs[at], targets[at] = alter(train.inputs[source], rng), train.targets[source]
            leaks[name].add(_key("test", test, at))
    return replace(test, inputs=inputs, targets=targets), leaks


def _key(split: str, rows: Rows, at: int) -> Key:
    return split, rows.files[at] if rows.files else rows.name, rows.numbers[at]


def _key_of(row: Row) -> Key:
    return row.split, row.file, row.number


def _typo(text: str, rng: random.Random) -> str:
    """Two neighbouring letters change places."""
    places = [at for at in range(len(text) - 1) if text[at : at + 2].isalpha() and text[at] != text[at + 1]]
    at = rng.choice(places) if places else 0
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _without_a_word(text: str, rng: random.Random) -> str:
    words = text.split()
    shortest = min(range(len(words)), key=lambda at: (len(words[at]), at))
    return " ".join(words[:shortest] + words[shortest + 1 :])


ALTERED: dict[str, Callable[[str, random.Random], str]] = {
    "upper case": lambda text, rng: text.upper(),
    "other punctuation": lambda text, rng: re.sub(r"[.,;:!?]", "", text) + " !!",
    "a typo": _typo,
    "a word less": _without_a_word,
}


def label_figures(name: str, subject: Subject, checked: Checked, wrong: set[Key]) -> list[Figure]:
    """On the same vectors."""
    ours = {_key_of(each.row) for each in checked.suggestions}
    rows = [subject.rows[at] for at in subject.embedded]
    numbers = np.array([subject.labels.index(row.target) for row in rows])
    issues = CleanLearning(seed=SEED).find_label_issues(subject.vectors, numbers)["is_label_issue"].to_numpy()
    theirs = {_key_of(row) for row, flagged in zip(rows, issues, strict=True) if flagged}
    return [
        figure
        for who, found in (("tuneship check", ours), ("cleanlab's defaults", theirs))
        for figure in _quality(f"{name}, wrong labels, {who}", found, wrong)
    ]


def _quality(name: str, found: set[Key], wrong: set[Key]) -> list[Figure]:
    hits = len(found & wrong)
    return [
        Figure(f"{name}: precision", 100 * hits / max(len(found), 1), "%", note=f"{hits} of {len(found)} found"),
        Figure(f"{name}: recall", 100 * hits / max(len(wrong), 1), "%", note=f"{hits} of {len(wrong)} planted"),
    ]


def leak_figures(name: str, checked: Checked, leaks: dict[str, set[Key]]) -> list[Figure]:
    finding = next(finding for finding in checked.findings if finding.name == "leaks")
    found = {_key_of(example.rows[0]) for example in finding.examples}
    planted = {key for keys in leaks.values() for key in keys}
    shares = [
        Figure(f"{name}, leaks, {how}: found", 100 * len(found & keys) / max(len(keys), 1), "%", note=f"of {len(keys)}")
        for how, keys in leaks.items()
    ]
    return [*shares, Figure(f"{name}, leaks of the data's own", len(found - planted), "rows")]
