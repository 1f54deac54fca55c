"""Classification without fine-tuning: a linear layer on the base model's sentence vectors.

Without examples its weights are the label descriptions' vectors. With examples it is scikit-learn's logistic
regression, where each description is one more example. Texts without labels, where there are some, are examples of
what the texts around them say they are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Task
from trainer.data.rows import Rows
from trainer.fit.label_spreading import spread_labels
from trainer.fit.validation import Datasets, tune_and_save
from trainer.model.checkpoint import build_model
from trainer.model.heads import PooledClassifier, PooledModel
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode
from trainer.recipe.sections import FewShot
from trainer.run.run import Run
from trainer.setup.training_setup import TrainingSetup

INVERSE_REGULARIZATION = 10.0
"""scikit-learn's C."""

ZERO_SHOT_SCALE = 20.0
"""Turns cosines into logits; it changes scores, never the order of labels."""

KNOWN_WEIGHT = 3.0
"""Of an example beside a text without a label, which weighs 1 at most: its label's share."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Linear:
    """``weight`` [labels, hidden], ``bias`` [labels]."""

    weight: Vectors
    bias: Vectors

    def copy_to(self, model: PooledClassifier) -> None:
        with torch.no_grad():
            model.classifier.weight.copy_(torch.from_numpy(self.weight))
            model.classifier.bias.copy_(torch.from_numpy(self.bias))


def fit_few_shot(setup: TrainingSetup, datasets: Datasets, few_shot: FewShot, run: Run) -> dict[str, Any]:
    """Fit and save; returns its part of the run's record."""
    settings, splits = setup.recipe.training, setup.splits
    model = build_model(setup.base, setup.model_spec, splits.labels)
    assert isinstance(model, PooledClassifier)
    places = sample_examples(splits.train, splits.labels, few_shot.examples_per_label, settings.seed)
    examples = splits.train.take(places)
    items = [item for inputs in examples.inputs for item in setup.training_task.items(setup.task, inputs)]
    items += describe_labels(few_shot, splits.labels)
    vectors = sentence_vectors(model, setup.tokenizer, setup.task, items, settings.per_device_eval_batch_size)
    numbers = [splits.labels.index(target) for target in examples.targets]
    further = row_vectors(setup, model, setup.unlabelled.rows.inputs) if setup.unlabelled else None
    layer = fit_linear_layer(vectors[: len(examples)], numbers, vectors[len(examples) :], further, settings.seed)
    layer.copy_to(model)
    return {
        **tune_and_save(setup, run, model, datasets),
        "seed": settings.seed,
        "metric": setup.recipe.metric,
        "examples": len(examples),
        "unlabelled": len(further) if further is not None else 0,
        "best_step": None,
        "history": [],
    }


def row_vectors(setup: TrainingSetup, model: PooledModel, inputs: Sequence[Any]) -> Vectors:
    """Vectors of length 1, of rows or of texts alone."""
    items = [item for each in inputs for item in setup.training_task.items(setup.task, each)]
    return sentence_vectors(model, setup.tokenizer, setup.task, items, setup.recipe.training.per_device_eval_batch_size)


def describe_labels(settings: FewShot, labels: Sequence[str]) -> list[str]:
    """By default the labels' names."""
    descriptions = settings.label_descriptions or {}
    return [descriptions.get(label) or label.replace("_", " ") for label in labels]


def sample_examples(rows: Rows, labels: Sequence[str], count: int, seed: int) -> list[int]:
    """The indices of ``count`` random rows of each label, or of all."""
    rng = random.Random(f"few-shot/{seed}")
    places: dict[str, list[int]] = {label: [] for label in labels}
    for at, target in enumerate(rows.targets):
        places[target].append(at)
    return [at for of_label in places.values() for at in sorted(rng.sample(of_label, min(count, len(of_label))))]


def sentence_vectors(
    model: PooledModel, tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any], batch_size: int
) -> Vectors:
    """Vectors of length 1, [items, width]; of a text in several windows, their mean."""
    return text_vectors(model, tokenizer, task, items, batch_size, unit=True)


def text_vectors(
    model: PooledModel,
    tokenizer: PreTrainedTokenizerFast,
    task: Task,
    items: Sequence[Any],
    batch_size: int,
    *,
    unit: bool = False,
) -> Vectors:
    """What the classifier reads, [items, width]; of a text in several windows, their mean.

    The mean of the windows' logits is the classifier's answer to it.
    """
    encoder = PooledModel(model.backbone, model.pooling, model.layers).eval()
    encoder.dense = model.dense
    rows = rows_logits(encoder, tokenizer, encode(tokenizer, task, items), batch_size)
    found = [of_length_1(np.stack(windows)) if unit else np.stack(windows) for windows in rows]
    return np.stack([windows[0] if len(windows) == 1 else windows.mean(axis=0) for windows in found])


def of_length_1(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def fit_linear_layer(
    examples: Vectors, numbers: Sequence[int], descriptions: Vectors, further: Vectors | None, seed: int
) -> Linear:
    """``further`` are vectors of texts without labels; the rest as for `fit_classifier`."""
    layer = fit_classifier(examples, numbers, descriptions, seed)
    if further is None:
        return layer
    known = np.concatenate([examples, descriptions])
    return learn_from_unlabelled(layer, known, [*numbers, *range(len(descriptions))], further, seed)


def fit_classifier(examples: Vectors, numbers: Sequence[int], descriptions: Vectors, seed: int) -> Linear:
    """``numbers`` are the examples' labels; there is one description per label."""
    labels = len(descriptions)
    if not len(examples):
        return Linear(descriptions * np.float32(ZERO_SHOT_SCALE), np.zeros(labels, dtype=np.float32))
    return _fit(np.concatenate([examples, descriptions]), [*numbers, *range(labels)], None, seed)


def learn_from_unlabelled(layer: Linear, known: Vectors, numbers: Sequence[int], others: Vectors, seed: int) -> Linear:
    """Fit again, with each text without a label as an example of the label that spreads to it.

    Args:
        layer: fitted to ``known`` alone, or to descriptions; its answers are the first guesses.
        known: the vectors of examples and descriptions.
        numbers: their labels, each label at least once.
    """
    guesses = softmax(others @ layer.weight.T + layer.bias, axis=1)
    vectors = np.concatenate([known, others])
    shares = spread_labels(vectors, numbers, guesses)
    weights = np.concatenate([np.full(len(numbers), KNOWN_WEIGHT), shares.max(axis=1)])
    return _fit(vectors, [*numbers, *shares.argmax(axis=1)], weights, seed)


def _fit(vectors: Vectors, numbers: Sequence[int], weights: NDArray[np.float64] | None, seed: int) -> Linear:
    """Every label is among ``numbers``."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    model = LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=1000, random_state=seed)
    with threadpool_limits(1, user_api="blas"):  # so small that threads only wait for each other
        model.fit(vectors, numbers, sample_weight=weights)
    weight, bias = model.coef_, model.intercept_
    if len(bias) == 1:  # one row, the log odds of the second label
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return Linear(weight.astype(np.float32), bias.astype(np.float32))
