"""The tasks a bundle can be of, by the name its manifest gives. One object a task: check, encode, decode."""

from __future__ import annotations

from serving.bundle import Manifest
from serving.errors import BundleError
from serving.tasks.text_classification import TextClassification

TASKS = {TextClassification.name: TextClassification}


def task_of(manifest: Manifest) -> TextClassification:
    """The task object of a bundle; raises BundleError for a task this version does not know."""
    try:
        return TASKS[manifest.task](manifest)
    except KeyError:
        known = ", ".join(TASKS)
        raise BundleError(f"this Tuneship serves no task named {manifest.task!r}; it serves: {known}") from None
