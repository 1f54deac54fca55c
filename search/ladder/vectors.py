"""Vectors of texts that nobody has fine-tuned: words, single tokens of the base model, its sentence vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import PreTrainedTokenizerFast

from search.ladder.rung import parameters_a_token
from serving.tasks.base import Task
from trainer.data.rows import texts_of
from trainer.fit.few_shot import row_vectors
from trainer.model.checkpoint import build_model
from trainer.model.heads import PooledModel
from trainer.model.inputs import cut, encode
from trainer.setup.training_setup import TrainingSetup

Vectors = NDArray[np.float32]

SIF = 1e-3
"""Arora et al. 2017, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings": the weight of a token of frequency
p is SIF / (SIF + p)."""


@dataclass
class Encoder:
    """The base model as it is, for vectors of length 1; built where it is first needed."""

    setup: TrainingSetup

    @cached_property
    def model(self) -> PooledModel:
        model = build_model(self.setup.base, self.setup.model_spec, self.setup.splits.labels)
        assert isinstance(model, PooledModel)
        return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    @property
    def parameters(self) -> int:
        return parameters_a_token(self.model.backbone)

    def vectors(self, inputs: Sequence[Any]) -> Vectors:
        """Of rows, or of texts alone."""
        return row_vectors(self.setup, self.model, inputs)


class StaticVectors:
    """A vector a token, distilled as model2vec does: each token passed through the base model alone.

    A text's vector is the mean of its tokens', weighted by how rare they are in the training rows.
    """

    def __init__(self, encoder: Encoder, inputs: Sequence[Any]) -> None:
        self._setup = encoder.setup
        found = Counter(token for ids in self._ids(inputs) for token in ids)
        total = sum(found.values())
        self._weights = {token: SIF / (SIF + count / total) for token, count in found.items()}
        self._table = dict(zip(found, _token_vectors(encoder, list(found)), strict=True))
        self.width = len(next(iter(self._table.values())))

    def vectors(self, inputs: Sequence[Any]) -> Vectors:
        return np.stack([self._vector(ids) for ids in self._ids(inputs)])

    def _vector(self, ids: Sequence[int]) -> Vectors:
        """Tokens that no training row has are left out."""
        known = [token for token in ids if token in self._table]
        if not known:
            return np.zeros(self.width, dtype=np.float32)
        weights = np.array([self._weights[token] for token in known], dtype=np.float32)
        mean = weights @ np.stack([self._table[token] for token in known])
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)

    def _ids(self, inputs: Sequence[Any]) -> list[list[int]]:
        task, training_task = self._setup.task, self._setup.training_task
        items = [item for each in inputs for item in training_task.items(task, each)]
        encoded = encode(self._setup.tokenizer, task, items)
        return [[token for window in each.windows for token in _plain_ids(window)] for each in encoded]


def _plain_ids(window: Any) -> list[int]:
    """Without special tokens."""
    return [token for token, special in zip(window.ids, window.special_tokens_mask, strict=True) if not special]


@torch.inference_mode()
def _token_vectors(encoder: Encoder, tokens: Sequence[int]) -> Vectors:
    """Of each token between the special ones that the tokenizer puts around a text."""
    model, device = encoder.model, next(encoder.model.parameters()).device
    before, after = _surroundings(encoder.setup.tokenizer, encoder.setup.task)
    found = []
    for part in cut(tokens, 256):
        ids = torch.tensor([[*before, token, *after] for token in part], device=device)
        output = PooledModel.forward(model, ids, torch.ones_like(ids))["logits"]
        found.append(torch.nn.functional.normalize(output.float(), dim=-1).cpu().numpy())
    return np.concatenate(found)


def _surroundings(tokenizer: PreTrainedTokenizerFast, task: Task) -> tuple[list[int], list[int]]:
    window = tokenizer(["a"], truncation=True, max_length=tokenizer.model_max_length).encodings[0]
    special = window.special_tokens_mask
    first = special.index(0) if 0 in special else len(special)
    last = len(special) - special[::-1].index(0) if 0 in special else len(special)
    return window.ids[:first], window.ids[last:]


def word_vectors(inputs: Sequence[Any]) -> TfidfVectorizer:
    """TF-IDF of words and pairs of words; of characters, where texts have no spaces."""
    texts = [joined(each) for each in inputs]
    spaced = np.median([len(text.split()) for text in texts]) > 1
    kind = (
        {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
        if spaced
        else {"analyzer": "char", "ngram_range": (1, 3)}
    )
    return TfidfVectorizer(sublinear_tf=True, **kind).fit(texts)


def joined(inputs: Any) -> str:
    return "\n".join(texts_of(inputs))
