"""The registry of tasks, by the manifest's names."""

from __future__ import annotations

from pydantic import ValidationError

from serving.bundle.manifest import Manifest
from serving.errors import BundleError, first_problem
from serving.tasks.base import Task
from serving.tasks.feature_extraction import FeatureExtraction
from serving.tasks.generation import Text2TextGeneration, TextGeneration
from serving.tasks.multi_label_classification import MultiLabelClassification
from serving.tasks.question_answering import QuestionAnswering
from serving.tasks.regression import Regression
from serving.tasks.text_classification import TextClassification
from serving.tasks.token_classification import TokenClassification

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        TextClassification,
        MultiLabelClassification,
        Regression,
        TokenClassification,
        QuestionAnswering,
        FeatureExtraction,
        Text2TextGeneration,
        TextGeneration,
    )
}


def task_of(manifest: Manifest) -> Task:
    """A bundle's task; raises BundleError for an unknown task, or settings or labels that do not fit it.

    Or where code that it was proven with is not installed here, or is another.
    """
    if manifest.task not in TASKS:
        known = ", ".join(TASKS)
        raise BundleError(f"this Tuneship serves no task named {manifest.task!r}; it serves: {known}")
    kind = TASKS[manifest.task]
    try:
        settings = kind.settings_type.model_validate(manifest.settings)
    except ValidationError as error:
        raise BundleError(f"manifest.json: {first_problem(error, 'settings')}. Export the bundle again.") from error
    task = kind(manifest.labels, settings, manifest.limits)
    if problem := task.validate_settings():
        raise BundleError(f"manifest.json: {problem}. Export the bundle again.")
    try:
        task.load_extensions()
    except BundleError as error:
        raise BundleError(f"manifest.json: {error}. How a server gets it: docs/extensions.md") from error
    return task
