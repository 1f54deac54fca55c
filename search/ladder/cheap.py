"""The rungs without fine-tuning: a constant, TF-IDF, static vectors, a few examples, a frozen encoder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from search.ladder.linear import Linear, constant_logits, fit_linear, score_logits
from search.ladder.rung import Rung, milliseconds_a_text
from search.ladder.vectors import Encoder, StaticVectors, Vectors, joined, word_vectors
from trainer.fit.few_shot import describe_labels, fit_linear_layer, sample_examples
from trainer.setup.training_setup import TrainingSetup

_WORD_REGULARIZATION = 10.0
"""scikit-learn's C."""


class CheapRungs:
    """``setup`` is that of the recipe, ``plain`` the same for vectors of the base model without a trained head."""

    def __init__(self, setup: TrainingSetup, plain: TrainingSetup, examples: Sequence[int], repeats: int) -> None:
        self._setup, self._examples, self._repeats = setup, examples, repeats
        self._train, self._validation = setup.splits.train, setup.splits.validation
        self._encoder = Encoder(plain)
        self._vectors: tuple[Vectors, Vectors] | None = None
        self._encoding_seconds = 0.0

    def majority(self) -> Iterator[Rung]:
        name = "the mean" if self._setup.recipe.task == "regression" else "most frequent label"
        logits = constant_logits(self._setup, len(self._validation))
        score = score_logits(self._setup, logits, self._validation)
        yield Rung("majority", name, [score], len(self._train), 0.0, 0.0, 0)

    def tf_idf(self) -> Iterator[Rung]:
        start = time.monotonic()
        words = word_vectors(self._train.inputs)
        train, validation = (words.transform(map(joined, rows.inputs)) for rows in (self._train, self._validation))
        model = fit_linear(self._setup, train, self._train, _WORD_REGULARIZATION)
        seconds = time.monotonic() - start
        yield Rung(
            "tf-idf",
            "TF-IDF + linear",
            [score_logits(self._setup, model.logits(validation), self._validation)],
            len(self._train),
            seconds,
            milliseconds_a_text(lambda text: model.logits(words.transform([joined(text)])), self._validation),
            2 * len(self._setup.splits.labels),
        )

    def static(self) -> Iterator[Rung]:
        start = time.monotonic()
        static = StaticVectors(self._encoder, self._train.inputs)
        model = fit_linear(self._setup, static.vectors(self._train.inputs), self._train)
        seconds = time.monotonic() - start
        yield Rung(
            "static",
            "static vectors + linear",
            [score_logits(self._setup, model.logits(static.vectors(self._validation.inputs)), self._validation)],
            len(self._train),
            seconds,
            milliseconds_a_text(lambda text: model.logits(static.vectors([text])), self._validation),
            static.width,
        )

    def few_shot(self) -> Iterator[Rung]:
        """Label descriptions alone, then examples of each label; beside the texts without labels of the recipe."""
        plain, labels = self._encoder.setup, self._setup.splits.labels
        assert plain.recipe.few_shot
        descriptions = self._encoder.vectors(describe_labels(plain.recipe.few_shot, labels))
        further = self._encoder.vectors(plain.unlabelled.rows.inputs) if plain.unlabelled else None
        numbers = np.array([labels.index(target) for target in self._train.targets])
        train, validation = self._encode()
        for count in self._examples:
            start, scores, places = time.monotonic(), [], list[int]()
            for seed in range(self._repeats if count else 1):
                places = sample_examples(self._train, labels, count, seed)
                layer = fit_linear_layer(train[places], numbers[places].tolist(), descriptions, further, seed)
                logits = validation @ layer.weight.T + layer.bias
                scores.append(score_logits(plain, logits, self._validation))
            name = f"{count} examples a label" if count else "label descriptions"
            name += " + texts" if further is not None else ""
            seconds = (time.monotonic() - start) / len(scores)
            yield Rung("few-shot", name, scores, len(places), seconds, self._milliseconds(), self._encoder.parameters)

    def frozen(self) -> Iterator[Rung]:
        train, validation = self._encode()
        start = time.monotonic()
        model = fit_linear(self._setup, train, self._train)
        seconds = time.monotonic() - start + self._encoding_seconds
        score = score_logits(self._setup, model.logits(validation), self._validation)
        milliseconds = self._milliseconds(model)
        yield Rung("frozen", "frozen encoder + linear", [score], len(self._train), seconds, milliseconds,
                   self._encoder.parameters)  # fmt: skip

    def _encode(self) -> tuple[Vectors, Vectors]:
        if self._vectors is None:
            start = time.monotonic()
            train = self._encoder.vectors(self._train.inputs)
            self._encoding_seconds = time.monotonic() - start
            self._vectors = train, self._encoder.vectors(self._validation.inputs)
        return self._vectors

    def _milliseconds(self, model: Linear | None = None) -> float:
        def answer(text: Any) -> object:
            vectors = self._encoder.vectors([text])
            return model.logits(vectors) if model else vectors

        return milliseconds_a_text(answer, self._validation)
