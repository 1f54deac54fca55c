"""The training tasks, by the name that a recipe gives."""

from __future__ import annotations

from trainer.recipe.recipe import Recipe
from trainer.tasks.base import TrainingTask
from trainer.tasks.feature_extraction import FeatureExtraction
from trainer.tasks.generation import Text2TextGeneration, TextGeneration
from trainer.tasks.multi_label_classification import MultiLabelClassification
from trainer.tasks.question_answering import QuestionAnswering
from trainer.tasks.regression import Regression
from trainer.tasks.reranking import Reranking
from trainer.tasks.retrieval import Retrieval
from trainer.tasks.text_classification import TextClassification
from trainer.tasks.token_classification import TokenClassification

TRAINING_TASKS: dict[str, type[TrainingTask]] = {
    kind.serves.name: kind
    for kind in (
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


RANKING_TASKS: dict[str, type[TrainingTask]] = {kind.serves.name: kind for kind in (Retrieval, Reranking)}
"""The same for rows that are pairs without scores."""


def create_training_task(recipe: Recipe) -> TrainingTask:
    return (RANKING_TASKS if recipe.ranks else TRAINING_TASKS)[recipe.task](recipe)
