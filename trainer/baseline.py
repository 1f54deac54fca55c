"""How far linear classifiers on the base model's sentence vectors get, without fine-tuning, on the validation rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from serving.errors import InputError
from trainer.data.rows import Rows
from trainer.fit.few_shot import Vectors, describe_labels, fit_classifier, sample_examples, sentence_vectors
from trainer.model.checkpoint import build_model
from trainer.model.heads import PooledClassifier
from trainer.recipe.recipe import Recipe
from trainer.recipe.sections import FewShot
from trainer.setup.training_setup import TrainingSetup


@dataclass(frozen=True)
class Baseline:
    """The validation accuracy of each repetition."""

    name: str
    rows: int
    accuracies: list[float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))


def few_shot_recipe(recipe: Recipe) -> Recipe:
    """Raises InputError for a task that has no baseline."""
    if recipe.task != "text-classification" or recipe.data.text_pair:
        raise InputError(
            f"baseline: compares texts with labels, and cannot for task: {recipe.task} (or for pairs);"
            " give a recipe of text-classification on single texts",
            field="task",
        )
    return recipe if recipe.few_shot else recipe.model_copy(update={"few_shot": FewShot(examples_per_label=0)})


def baselines(setup: TrainingSetup, examples: Sequence[int], repeats: int) -> Iterator[Baseline]:
    """The most frequent label, each number of examples per label (0: descriptions alone), and all rows.

    ``setup`` is of a recipe from `few_shot_recipe`; ``repeats`` are samples of the examples, by seeds 0, 1, …
    """
    train, validation, labels = setup.splits.train, setup.splits.validation, setup.splits.labels
    frequent = Counter(train.targets).most_common(1)[0][0]
    share = float(np.mean([target == frequent for target in validation.targets]))
    yield Baseline("most frequent label", len(train), [share])
    vectors = _Vectors.of(setup)
    for count in examples:
        seeds = range(repeats if count else 1)
        samples = [sample_examples(train, labels, count, seed) for seed in seeds]
        accuracies = [vectors.accuracy(places, seed) for seed, places in zip(seeds, samples, strict=True)]
        name = f"{count} examples a label" if count else "label descriptions alone"
        yield Baseline(name, len(samples[0]), accuracies)
    yield Baseline("all training rows", len(train), [vectors.accuracy(range(len(train)), 0)])


@dataclass(frozen=True)
class _Vectors:
    """Sentence vectors [rows, hidden] and label numbers [rows]."""

    train: Vectors
    validation: Vectors
    descriptions: Vectors
    train_numbers: NDArray[np.int64]
    validation_numbers: NDArray[np.int64]

    @classmethod
    def of(cls, setup: TrainingSetup) -> _Vectors:
        splits = setup.splits
        model = build_model(setup.base, setup.model_spec, splits.labels)
        assert isinstance(model, PooledClassifier)
        assert setup.recipe.few_shot
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        batch_size = setup.recipe.training.per_device_eval_batch_size
        descriptions = describe_labels(setup.recipe.few_shot, splits.labels)
        train, validation, described = (
            sentence_vectors(model, setup.tokenizer, setup.task, texts, batch_size)
            for texts in (splits.train.inputs, splits.validation.inputs, descriptions)
        )
        numbers = (_label_numbers(rows, splits.labels) for rows in (splits.train, splits.validation))
        return cls(train, validation, described, *numbers)

    def accuracy(self, places: Sequence[int], seed: int) -> float:
        indices = list(places)
        layer = fit_classifier(self.train[indices], self.train_numbers[indices].tolist(), self.descriptions, seed)
        answers = (self.validation @ layer.weight.T + layer.bias).argmax(axis=1)
        return float(np.mean(answers == self.validation_numbers))


def _label_numbers(rows: Rows, labels: Sequence[str]) -> NDArray[np.int64]:
    return np.array([labels.index(target) for target in rows.targets])
