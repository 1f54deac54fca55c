"""Must I fine-tune at all? What label descriptions, a few examples and all of them reach without it.

The base model's sentence vectors are made once; each line of the table is one linear classifier on them, measured on
the validation rows. The test rows are left alone: they are for the model that is chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from serving.errors import InputError
from trainer.data.rows import Rows
from trainer.fit.few_shot import Linear, Vectors, describe_labels, fit_classifier, sample_examples, sentence_vectors
from trainer.model.checkpoint import build_model
from trainer.model.heads import PooledClassifier
from trainer.recipe.recipe import Recipe
from trainer.recipe.sections import FewShot
from trainer.setup.training_setup import TrainingSetup


@dataclass(frozen=True)
class Baseline:
    """One way to answer without fine-tuning, and its validation accuracy in each repetition."""

    name: str
    rows: int
    accuracies: list[float]

    @property
    def mean(self) -> float:
        """The mean accuracy, a share."""
        return float(np.mean(self.accuracies))


def few_shot_recipe(recipe: Recipe) -> Recipe:
    """The recipe as a few-shot one; raises InputError for a task that has no baseline."""
    if recipe.task != "text-classification" or recipe.data.text_pair:
        raise InputError(
            f"baseline: compares texts with labels, and cannot for task: {recipe.task} (or for pairs);"
            " give a recipe of text-classification on lone texts",
            field="task",
        )
    return recipe if recipe.few_shot else recipe.model_copy(update={"few_shot": FewShot(examples_per_label=0)})


def baselines(setup: TrainingSetup, examples: Sequence[int], repeats: int) -> Iterator[Baseline]:
    """The most frequent label; then sentence vectors with each number of examples a label; then with all rows.

    Args:
        plan: of a recipe that `few_shot_recipe` gave.
        examples: numbers of examples a label; 0 is label descriptions alone.
        repeats: choices of the examples, by seeds 0, 1, …
    """
    train, held_out, labels = setup.splits.train, setup.splits.validation, setup.splits.labels
    most = Counter(train.targets).most_common(1)[0][0]
    yield Baseline("most frequent label", len(train), [float(np.mean([each == most for each in held_out.targets]))])
    vectors = _Vectors.of(setup)
    for count in examples:
        seeds = range(repeats if count else 1)
        places = [sample_examples(train, labels, count, seed) for seed in seeds]
        accuracies = [vectors.accuracy(some, seed) for seed, some in zip(seeds, places, strict=True)]
        name = f"{count} examples a label" if count else "label descriptions alone"
        yield Baseline(name, len(places[0]), accuracies)
    yield Baseline("all training rows", len(train), [vectors.accuracy(range(len(train)), 0)])


@dataclass(frozen=True)
class _Vectors:
    """The sentence vectors of training rows, validation rows and label descriptions, and the rows' label numbers."""

    train: Vectors
    validation: Vectors
    descriptions: Vectors
    train_numbers: NDArray[np.int64]
    validation_numbers: NDArray[np.int64]

    @classmethod
    def of(cls, setup: TrainingSetup) -> _Vectors:
        model = build_model(setup.base, setup.model_spec, setup.splits.labels)
        assert isinstance(model, PooledClassifier)
        assert setup.recipe.few_shot
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        batch_size = setup.recipe.training.per_device_eval_batch_size
        texts = (setup.splits.train.inputs, setup.splits.validation.inputs)
        train, validation, descriptions = (
            sentence_vectors(model, setup.tokenizer, setup.task, items, batch_size)
            for items in (*texts, describe_labels(setup.recipe.few_shot, setup.splits.labels))
        )
        numbers = (_numbers(setup, rows) for rows in (setup.splits.train, setup.splits.validation))
        return cls(train, validation, descriptions, *numbers)

    def accuracy(self, places: Sequence[int], seed: int) -> float:
        """Validation accuracy of the classifier fitted to the training rows at ``places``."""
        some = list(places)
        layer = fit_classifier(self.train[some], self.train_numbers[some].tolist(), self.descriptions, seed)
        return float(np.mean(_answers(layer, self.validation) == self.validation_numbers))


def _answers(layer: Linear, vectors: Vectors) -> NDArray[np.int64]:
    best: NDArray[np.int64] = (vectors @ layer.weight.T + layer.bias).argmax(axis=1)
    return best


def _numbers(setup: TrainingSetup, rows: Rows) -> NDArray[np.int64]:
    return np.array([setup.splits.labels.index(target) for target in rows.targets])
