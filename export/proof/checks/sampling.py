"""A sampled answer may not depend on how many are drawn beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from export.proof.answers.served_answers import ServedAnswers
from serving.inference.predictor import Predictor
from serving.tasks.generation import Generated, Generation, GenerationParameters

PROMPTS, SEEDS, TOGETHER, MOST_TOKENS = 8, 2, 3, 16
MAX_SCORE_CHANGE = 1e-4
"""Of the mean log-probability of an answer's tokens: a graph that ties rows together shows before a token differs."""


@dataclass(frozen=True)
class Sampling:
    """Answers drawn alone, and as the first of several with the same seed; ``changed``: other tokens or scores."""

    together: int
    comparisons: int
    changed: int


def measure_sampling(served: ServedAnswers) -> Sampling | None:
    """None for a task that does not generate."""
    task, items = served.predictor.task, served.reference.items
    if not isinstance(task, Generation):
        return None
    places = np.unique(np.linspace(0, len(items) - 1, PROMPTS).round().astype(int)).tolist()
    pairs = [
        [_first_answer(served.predictor, items[place], seed, number) for number in (1, TOGETHER)]
        for place in places
        for seed in range(SEEDS)
    ]
    return Sampling(TOGETHER, len(pairs), sum(not _same(*pair) for pair in pairs))


def _same(alone: Generated, beside: Generated) -> bool:
    return alone.token_ids == beside.token_ids and abs(alone.score - beside.score) <= MAX_SCORE_CHANGE


def _first_answer(predictor: Predictor, item: Any, seed: int, number: int) -> Generated:
    tokens = min(MOST_TOKENS, predictor.task.settings.model_dump()["max_new_tokens"])
    parameters = GenerationParameters(do_sample=True, seed=seed, num_return_sequences=number, max_new_tokens=tokens)
    encoded = predictor.encode([item], parameters)[0]
    first: Generated = predictor.run(encoded.windows)[0][0]
    return first
