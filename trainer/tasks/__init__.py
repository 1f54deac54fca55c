"""How each task is learned and measured, by the name that a recipe gives."""

from __future__ import annotations

from trainer.recipe import Recipe
from trainer.tasks.base import Learning
from trainer.tasks.feature_extraction import FeatureExtraction
from trainer.tasks.generation import Text2TextGeneration, TextGeneration
from trainer.tasks.multi_label_classification import MultiLabelClassification
from trainer.tasks.question_answering import QuestionAnswering
from trainer.tasks.regression import Regression
from trainer.tasks.text_classification import TextClassification
from trainer.tasks.token_classification import TokenClassification

LEARNING: dict[str, type[Learning]] = {
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


def learning_of(recipe: Recipe) -> Learning:
    """How the recipe's task is learned."""
    return LEARNING[recipe.task](recipe)
