"""The registry: a manifest becomes a task object, or a message that says why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.bundle.manifest import Manifest
from serving.errors import BundleError
from serving.tasks import TASKS, task_of
from tests.bundles import manifest_of


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Path) -> Manifest:
    """A sound manifest."""
    return manifest_of(tiny_bundle)


def changed(manifest: Manifest, task: str, labels: list[str], settings: dict[str, Any]) -> Manifest:
    """A manifest of another task."""
    return manifest.model_copy(update={"task": task, "labels": labels, "settings": settings})


def test_names() -> None:
    """Each task is found under the name it gives itself."""
    assert all(name == task.name for name, task in TASKS.items())
    assert len(TASKS) >= 6


@pytest.mark.parametrize(
    ("task", "labels", "settings"),
    [
        ("text-classification", ["a", "b"], {"threshold": 0.4, "one_logit": True}),
        ("text-classification", ["a", "b", "c"], {"pair": True}),
        ("multi-label-classification", ["a", "b", "c"], {"thresholds": [0.1, 0.2, 0.3]}),
        ("multi-label-classification", ["a"], {}),
        ("regression", ["score"], {"mean": 3.0, "std": 0.5}),
        ("token-classification", ["O", "B-PER", "I-PER"], {"stride": 4, "outside_bias": -1.0}),
        ("token-classification", ["I-per son", "O"], {}),
        ("question-answering", [], {"stride": 4, "max_length": 40}),
        ("feature-extraction", [], {"dimensions": 32}),
    ],
)
def test_sound(manifest: Manifest, task: str, labels: list[str], settings: dict[str, Any]) -> None:
    """A task object has the manifest's labels, settings and limits."""
    found = task_of(changed(manifest, task, labels, settings))
    assert type(found) is TASKS[task]
    assert found.labels == labels
    assert found.settings.model_dump(exclude_unset=True) == settings
    assert found.limits == manifest.limits


@pytest.mark.parametrize(
    ("task", "labels", "settings", "message"),
    [
        ("nonsense", [], {}, "serves no task named 'nonsense'; it serves: text-classification"),
        ("text-classification", ["a"], {}, "labels: 1 of them"),
        ("text-classification", ["a", "b", "c"], {"threshold": 0.5}, "one_logit and threshold are about two labels"),
        ("text-classification", ["a", "b", "c"], {"one_logit": True}, "and there are 3"),
        ("text-classification", ["a", "b"], {"threshold": 1.5}, r"settings\.threshold: Input should be less than 1"),
        ("text-classification", ["a", "b"], {"surprise": 1}, r"settings\.surprise: Extra inputs"),
        ("multi-label-classification", ["a", "b"], {"thresholds": [0.5]}, "thresholds: 1 of them for 2 labels"),
        ("multi-label-classification", ["a"], {"thresholds": [2]}, r"settings\.thresholds\.0: "),
        ("multi-label-classification", [], {}, "labels: there are none"),
        ("regression", ["a", "b"], {}, "labels: 2 of them; regression has one"),
        ("regression", ["a"], {"std": 0}, r"settings\.std: "),
        ("token-classification", ["B-PER", "I-PER"], {}, "labels: there is no tag O"),
        ("token-classification", ["O", "PER"], {}, "labels: 'PER' is no BIO tag"),
        ("token-classification", ["O", "B-"], {}, "labels: 'B-' is no BIO tag"),
        ("question-answering", [], {"max_length": 2}, r"settings\.max_length: "),
        ("question-answering", [], {"no_answer_threshold": float("nan")}, r"settings\.no_answer_threshold: "),
        ("feature-extraction", [], {}, r"settings\.dimensions: Field required"),
    ],
)
def test_unsound(manifest: Manifest, task: str, labels: list[str], settings: dict[str, Any], message: str) -> None:
    """Labels and settings that are no such task are found when the bundle is loaded, not when somebody asks."""
    with pytest.raises(BundleError, match=message):
        task_of(changed(manifest, task, labels, settings))
