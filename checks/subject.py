"""What is checked: the rows of a recipe, and their sentence vectors by its base model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from checks.finding import Row, rows_of
from serving.observability.progress import begin_step
from trainer.data.rows import without_negatives
from trainer.fit.few_shot import sentence_vectors
from trainer.model.checkpoint import ModelSpec, build_model
from trainer.model.heads import PooledModel
from trainer.model.inputs import cut
from trainer.setup.training_setup import TrainingSetup

MOST_VECTORS = 50_000
"""Of more rows a random part of the training rows has none."""
_AT_ONCE = 4096


@dataclass(frozen=True)
class Subject:
    setup: TrainingSetup

    @cached_property
    def rows(self) -> list[Row]:
        return rows_of(self.setup.splits)

    @property
    def task(self) -> str:
        return self.setup.recipe.task

    @property
    def labels(self) -> list[str]:
        return self.setup.splits.labels

    @property
    def has_vectors(self) -> bool:
        """Whether the task reads a text or a pair as a whole."""
        return self.setup.training_task.head in ("sequence", "vector")

    @cached_property
    def embedded(self) -> list[int]:
        """The places of the rows that have vectors, in their order."""
        if not self.has_vectors:
            return []
        places = np.arange(len(self.rows))
        if len(places) > MOST_VECTORS:
            train = len(self.setup.splits.train)
            held_out = places[train:][:MOST_VECTORS]
            most = min(train, MOST_VECTORS - len(held_out))
            drawn = np.random.default_rng(0).choice(train, most, replace=False)
            places = np.concatenate([np.sort(drawn), held_out])
        return [int(place) for place in places]

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Of length 1, a row for each of `embedded`; of a pair of texts for vectors, both side by side."""
        begin_step(f"making sentence vectors of {len(self.embedded):,} texts…")
        return np.concatenate([*_embed(self.setup, [self.rows[at] for at in self.embedded])])


def _embed(setup: TrainingSetup, rows: list[Row]) -> Iterator[NDArray[np.float32]]:
    spec = ModelSpec(head="vector", pooling=setup.base.pooling, logits=1, dense=setup.base.modules.dense)
    model = build_model(setup.base, spec, [])
    assert isinstance(model, PooledModel)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    batch_size, task = setup.recipe.training.per_device_eval_batch_size, setup.task
    for part in cut(rows, _AT_ONCE):
        items = [item for row in part for item in setup.training_task.items(task, without_negatives(row.inputs))]
        vectors = sentence_vectors(model, setup.tokenizer, task, items, batch_size)
        yield vectors.reshape(len(part), -1) / np.float32(np.sqrt(len(items) / len(part)))
