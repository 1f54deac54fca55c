"""The tokens that a model's own ``generation_config.json`` forbids or forces, as in transformers' processors.

``NoBadWordsLogitsProcessor``, ``ForcedBOSTokenLogitsProcessor``, ``ForcedEOSTokenLogitsProcessor``,
``SuppressTokensLogitsProcessor``, ``SuppressTokensAtBeginLogitsProcessor``, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serving.tasks.generation import TokenRules

Scores = npt.NDArray[np.float32]


def apply_rules(
    scores: Scores, sequences: Sequence[Sequence[int]], prompt: int, limit: int, rules: TokenRules, eos: Sequence[int]
) -> None:
    """Change scores [rows, vocabulary] in place.

    Args:
        sequences: each row's tokens, the ``prompt`` tokens included.
        limit: most new tokens.
        eos: end tokens.
    """
    words = [word for word in rules.bad_words_ids if word not in [[each] for each in eos]]
    for row, sequence in zip(scores, sequences, strict=True):
        row[[word[-1] for word in words if _ends_with(sequence, word[:-1])]] = -np.inf
    length = len(sequences[0])
    if length == 1 and rules.forced_bos_token_id is not None:
        _force(scores, [rules.forced_bos_token_id])
    if length == prompt + limit - 1 and rules.forced_eos_token_id:
        _force(scores, rules.forced_eos_token_id)
    _suppress(scores, rules.suppress_tokens)
    if length == prompt + (prompt <= 1 and rules.forced_bos_token_id is not None):
        _suppress(scores, rules.begin_suppress_tokens)


def _ends_with(sequence: Sequence[int], words: Sequence[int]) -> bool:
    return not words or (len(words) < len(sequence) and list(sequence[-len(words) :]) == list(words))


def _suppress(scores: Scores, tokens: Sequence[int]) -> None:
    """transformers takes tokens that the vocabulary lacks."""
    scores[:, [token for token in tokens if token < scores.shape[1]]] = -np.inf


def _force(scores: Scores, tokens: Sequence[int]) -> None:
    scores[:] = -np.inf
    scores[:, list(tokens)] = 0
