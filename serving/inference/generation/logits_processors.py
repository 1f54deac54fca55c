"""Logits to scores and sampling probabilities, as in transformers' ``LogitsProcessor`` classes, in their order.

Greedy and beam search run in float32 as there. Repetition penalty: CTRL (Keskar et al. 2019, arXiv:1909.05858,
section 4.1). Top-p: nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serving.errors import InputError
from serving.inference.generation.decode_request import DecodeRequest
from serving.inference.generation.token_rules import apply_rules
from serving.tasks.generation import GenerationParameters, TokenRules

Scores = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
RULES = tuple(name for name in TokenRules.model_fields if name != "min_length")


def log_softmax(logits: Scores) -> Scores:
    """Log-probabilities along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    normalised: Scores = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def process_logits(
    scores: Scores, sequences: Sequence[Sequence[int]], new_tokens: int, request: DecodeRequest
) -> Scores:
    """Apply the request's parameters and the model's rules; raises InputError if no token is left.

    Args:
        scores: logits or log-probabilities [rows, vocabulary]; not modified.
        sequences: each row's tokens, with the prompt's.
        new_tokens: of each row.
    """
    parameters, rules, eos = request.parameters, request.rules, list(request.eos_token_ids)
    penalty, size = parameters.repetition_penalty or 1.0, parameters.no_repeat_ngram_size
    too_short = new_tokens < parameters.min_new_tokens or (
        not parameters.min_new_tokens and len(sequences[0]) < rules.min_length
    )
    if penalty == 1 and not size and not too_short and all(getattr(rules, each) in ([], None) for each in RULES):
        return scores
    scores = scores.copy()
    for row, sequence in zip(scores, sequences, strict=True):
        if penalty != 1:
            _penalise(row, sequence, penalty)
        if size:
            row[_repeating_tokens(sequence, size)] = -np.inf
    if too_short:
        scores[:, eos] = -np.inf
    apply_rules(scores, sequences, len(sequences[0]) - new_tokens, request.limit, rules, eos)
    if np.isneginf(scores.max(axis=-1)).any():
        raise InputError(
            f"no_repeat_ngram_size is {size}: every token is forbidden by now; accepted: a larger one, or 0"
        )
    return scores


def probabilities(scores: Scores, parameters: GenerationParameters) -> Doubles:
    """[vocabulary], by temperature, then top-k, then top-p, then softmax."""
    # Subtracting the maximum first keeps a tiny temperature from overflowing.
    with np.errstate(over="ignore"):  # minus infinity is right for the others
        warped = (scores - scores.max()).astype(np.float64) / parameters.temperature
    if parameters.top_k:
        kth = min(parameters.top_k, len(warped))
        warped = np.where(warped < np.partition(warped, -kth)[-kth], -np.inf, warped)
    if parameters.top_p is not None and parameters.top_p < 1:
        warped = _nucleus(warped, parameters.top_p)
    return _softmax(warped)


def _penalise(row: Scores, sequence: Sequence[int], penalty: float) -> None:
    seen = np.unique(np.asarray(sequence, dtype=np.int64))
    row[seen] = np.where(row[seen] < 0, row[seen] * np.float32(penalty), row[seen] / np.float32(penalty))


def _repeating_tokens(sequence: Sequence[int], size: int) -> npt.NDArray[np.int64]:
    """Tokens that would complete an n-gram of ``size`` tokens for the second time."""
    tokens = np.asarray(sequence, dtype=np.int64)
    starts = max(len(tokens) - size + 1, 0)
    repeats = np.ones(starts, dtype=np.bool_)
    for at, token in enumerate(tokens[starts:] if starts else ()):
        repeats &= tokens[at : at + starts] == token
    return tokens[size - 1 :][repeats]


def _nucleus(scores: Doubles, top_p: float) -> Doubles:
    order = np.argsort(scores, kind="stable")
    outside = np.cumsum(_softmax(scores[order])) <= 1 - top_p
    outside[-1] = False
    kept = scores.copy()
    kept[order[outside]] = -np.inf
    return kept


def _softmax(scores: Doubles) -> Doubles:
    exponentials = np.exp(scores - scores.max())
    normalised: Doubles = exponentials / exponentials.sum()
    return normalised
