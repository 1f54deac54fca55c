"""Beam search, as in transformers 5 (``GenerationMixin._beam_search``).

Each step keeps the best ``num_beams * max(2, 1 + end tokens)`` continuations of the running beams. Those that end among
the best ``num_beams`` become answers; the best that do not end continue.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serving.inference.generation.decode_request import DecodeRequest
from serving.inference.generation.detokenizer import TextStream
from serving.inference.generation.kv_cache import Decoding
from serving.inference.generation.logits_processors import Scores, log_softmax, process_logits
from serving.tasks.generation import FinishReason

PENALTY = np.float32(-1e9)
"""Ranks a score behind all others; transformers' constant."""


@dataclass(frozen=True)
class Beam:
    tokens: list[int]
    score: float
    finish_reason: FinishReason


@dataclass(frozen=True)
class _Candidates:
    """Continuations, best first: parent beams, all tokens, log-probabilities, finish reasons, texts for stop texts."""

    parents: npt.NDArray[np.int64]
    tokens: list[list[int]]
    scores: Scores
    reasons: list[FinishReason | None]
    texts: list[TextStream | None]


def beam_search(decoding: Decoding, request: DecodeRequest) -> Generator[None, None, list[Beam]]:
    """The best beams; yields between two steps."""
    beams, wanted = request.parameters.num_beams, request.parameters.num_return_sequences
    scores = np.full(beams, PENALTY, dtype=np.float32)
    scores[0] = 0  # all beams are equal at first: only one of them continues
    text = request.text_stream() if request.parameters.stop else None
    running = _Candidates(np.zeros(beams, np.int64), [[] for _ in range(beams)], scores, [None] * beams, [text] * beams)
    finished: list[Beam] = []
    decoding.select([0] * beams)
    while True:
        candidates = _expand(decoding, running, request)
        finished = _best([*finished, *_finish(candidates, request)], beams)
        running = _continue(candidates, beams)
        if all(candidates.reasons) or not _may_improve(running, finished, request):
            return finished[:wanted]
        yield
        decoding.select(running.parents.tolist())
        decoding.step([tokens[-1] for tokens in running.tokens])


def _expand(decoding: Decoding, running: _Candidates, request: DecodeRequest) -> _Candidates:
    parameters = request.parameters
    sequences = [[*request.prefix, *tokens] for tokens in running.tokens]
    scores = log_softmax(decoding.logits)
    scores = process_logits(scores, sequences, len(running.tokens[0]), request)
    scores = scores + running.scores[:, None]
    best = _largest(scores.ravel(), parameters.num_beams * max(2, 1 + len(request.eos_token_ids)))
    parents, last = np.divmod(best, scores.shape[1])
    tokens = [[*running.tokens[parent], token] for parent, token in zip(parents.tolist(), last.tolist(), strict=True)]
    texts = [_put(running.texts[parent], each[-1]) for parent, each in zip(parents.tolist(), tokens, strict=True)]
    reasons = [
        request.finish_reason(each, text is not None and text.stopped) for each, text in zip(tokens, texts, strict=True)
    ]
    return _Candidates(parents, tokens, scores.ravel()[best], reasons, texts)


def _put(text: TextStream | None, token: int) -> TextStream | None:
    if text is None:
        return None
    longer = text.copy()
    longer.put(token)
    return longer


def _finish(candidates: _Candidates, request: DecodeRequest) -> list[Beam]:
    """Candidates after the first ``num_beams`` never finish."""
    length = len(candidates.tokens[0]) ** request.parameters.length_penalty
    scores = (candidates.scores / np.float32(length)).tolist()
    ranked = zip(candidates.tokens, scores, candidates.reasons, strict=True)
    return [Beam(*each) for each in list(ranked)[: request.parameters.num_beams] if each[2]]  # type: ignore[arg-type]


def _continue(candidates: _Candidates, beams: int) -> _Candidates:
    ends = np.asarray([reason is not None for reason in candidates.reasons])
    scores = candidates.scores + np.where(ends, PENALTY, np.float32(0))
    best = _largest(scores, beams)
    columns = (candidates.tokens, candidates.reasons, candidates.texts)
    tokens, reasons, texts = ([column[at] for at in best] for column in columns)
    return _Candidates(candidates.parents[best], tokens, scores[best], reasons, texts)  # type: ignore[arg-type]


def _may_improve(running: _Candidates, finished: Sequence[Beam], request: DecodeRequest) -> bool:
    """Whether the best running beam can still overtake the last answer."""
    parameters = request.parameters
    if len(finished) < parameters.num_beams:
        return True
    if parameters.early_stopping is True:
        return False
    length = len(running.tokens[0])
    if parameters.early_stopping == "never" and parameters.length_penalty > 0:
        length = request.limit
    possible = running.scores[0] / np.float32(length**parameters.length_penalty)
    return bool(possible > finished[-1].score)


def _best(beams: Sequence[Beam], number: int) -> list[Beam]:
    return sorted(beams, key=lambda beam: -beam.score)[:number]


def _largest(scores: Scores, number: int) -> npt.NDArray[np.int64]:
    """Their indices, largest first; of equal scores the first."""
    indices = np.argpartition(-scores, number - 1)[:number] if number < len(scores) else np.arange(len(scores))
    return indices[np.lexsort((indices, -scores[indices]))]
