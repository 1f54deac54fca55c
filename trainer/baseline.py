"""How far linear classifiers on the base model's sentence vectors get, without fine-tuning, on the validation rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from serving.errors import InputError
from trainer.fit.few_shot import describe_labels, fit_classifier, sample_examples, sentence_vectors
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
    accuracy = _measure_samples(setup)
    for count in examples:
        seeds = range(repeats if count else 1)
        samples = [sample_examples(train, labels, count, seed) for seed in seeds]
        accuracies = [accuracy(places, seed) for seed, places in zip(seeds, samples, strict=True)]
        name = f"{count} examples a label" if count else "label descriptions alone"
        yield Baseline(name, len(samples[0]), accuracies)
    yield Baseline("all training rows", len(train), [accuracy(list(range(len(train))), 0)])


def _measure_samples(setup: TrainingSetup) -> Callable[[list[int], int], float]:
    """A function from places of training rows and a seed to the validation accuracy of their classifier."""
    splits, few_shot = setup.splits, setup.recipe.few_shot
    model = build_model(setup.base, setup.model_spec, splits.labels)
    assert isinstance(model, PooledClassifier)
    assert few_shot
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    batch_size = setup.recipe.training.per_device_eval_batch_size
    train, validation, descriptions = (
        sentence_vectors(model, setup.tokenizer, setup.task, texts, batch_size)
        for texts in (splits.train.inputs, splits.validation.inputs, describe_labels(few_shot, splits.labels))
    )
    train_numbers, validation_numbers = (
        np.array([splits.labels.index(target) for target in rows.targets]) for rows in (splits.train, splits.validation)
    )

    def accuracy(places: list[int], seed: int) -> float:
        layer = fit_classifier(train[places], train_numbers[places].tolist(), descriptions, seed)
        answers = (validation @ layer.weight.T + layer.bias).argmax(axis=1)
        return float(np.mean(answers == validation_numbers))

    return accuracy
