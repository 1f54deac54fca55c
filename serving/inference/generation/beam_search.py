"""Beam search over one prompt, as transformers 5 does it (``GenerationMixin._beam_search``).

Each step takes the ``num_beams`` running beams, adds the log-probability of every token, and looks at the best
``num_beams * max(2, 1 + number of end tokens)`` continuations. Of the best ``num_beams`` of these, those that end
become answers, scored by their log-probability / length ** length_penalty; the best that do not end run on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serving.inference.generation.decode_request import DecodeRequest
from serving.inference.generation.kv_cache import Decoding
from serving.inference.generation.logits_processors import Scores, adjusted, log_softmax
from serving.tasks.generation import FinishReason

LOST = np.float32(-1e9)
"""What is added to a score to put it behind all others; transformers' own figure, as scores may be compared with it."""


@dataclass(frozen=True)
class Beam:
    """A finished answer."""

    tokens: list[int]
    score: float
    finish_reason: FinishReason


@dataclass(frozen=True)
class _Candidates:
    """Continuations, best first: the beam each comes from, all its tokens, its log-probability, why it ends if so."""

    parents: npt.NDArray[np.int64]
    tokens: list[list[int]]
    scores: Scores
    reasons: list[FinishReason | None]

    def pick(self, places: npt.NDArray[np.int64]) -> _Candidates:
        """Those at ``places``, in that order."""
        chosen = places.tolist()
        tokens, reasons = [self.tokens[at] for at in chosen], [self.reasons[at] for at in chosen]
        return _Candidates(self.parents[places], tokens, self.scores[places], reasons)


def beam_search(decoding: Decoding, plan: DecodeRequest) -> list[Beam]:
    """The best ``num_return_sequences`` answers, best first."""
    beams = plan.parameters.num_beams
    scores = np.full(beams, LOST, dtype=np.float32)
    scores[0] = 0  # all beams are the same at first: only one of them may be continued
    running = _Candidates(np.zeros(beams, np.int64), [[] for _ in range(beams)], scores, [None] * beams)
    finished: list[Beam] = []
    decoding.select([0] * beams)
    while True:
        candidates = _continuations(decoding, running, plan)
        finished = _best([*finished, *_ended(candidates, plan)], beams)
        running = _surviving(candidates, beams)
        if all(candidates.reasons) or not _may_improve(running, finished, plan):
            return finished[: plan.parameters.num_return_sequences]
        if plan.should_stop():
            return _best([*finished, *_cut_short(running, plan)], beams)[: plan.parameters.num_return_sequences]
        decoding.select(running.parents.tolist())
        decoding.step([tokens[-1] for tokens in running.tokens])


def _continuations(decoding: Decoding, running: _Candidates, plan: DecodeRequest) -> _Candidates:
    parameters = plan.parameters
    sequences = [[*plan.prefix, *tokens] for tokens in running.tokens]
    scores = log_softmax(decoding.logits)
    scores = adjusted(scores, sequences, len(running.tokens[0]), parameters, plan.eos_token_ids)
    scores = scores + running.scores[:, None]
    best = _largest(scores.ravel(), parameters.num_beams * max(2, 1 + len(plan.eos_token_ids)))
    parents, chosen = np.divmod(best, scores.shape[1])
    tokens = [[*running.tokens[parent], token] for parent, token in zip(parents.tolist(), chosen.tolist(), strict=True)]
    reasons = [plan.finish_reason(each, _holds_stop(each, plan)) for each in tokens]
    return _Candidates(parents, tokens, scores.ravel()[best], reasons)


def _ended(candidates: _Candidates, plan: DecodeRequest) -> list[Beam]:
    """The new answers; a continuation behind the best ``num_beams`` is only there in case those all end."""
    length = len(candidates.tokens[0]) ** plan.parameters.length_penalty
    scores = (candidates.scores / np.float32(length)).tolist()
    ended = zip(candidates.tokens, scores, candidates.reasons, strict=True)
    return [Beam(*each) for each in list(ended)[: plan.parameters.num_beams] if each[2]]  # type: ignore[arg-type]


def _surviving(candidates: _Candidates, beams: int) -> _Candidates:
    ends = np.asarray([reason is not None for reason in candidates.reasons])
    scores = candidates.scores + np.where(ends, LOST, np.float32(0))
    behind = _Candidates(candidates.parents, candidates.tokens, scores, candidates.reasons)
    return behind.pick(_largest(scores, beams))


def _may_improve(running: _Candidates, finished: Sequence[Beam], plan: DecodeRequest) -> bool:
    """Whether the best running beam can still come before the last of the answers."""
    parameters = plan.parameters
    if len(finished) < parameters.num_beams:
        return True
    if parameters.early_stopping is True:
        return False
    length = len(running.tokens[0])
    if parameters.early_stopping == "never" and parameters.length_penalty > 0:
        length = plan.limit
    possible = running.scores[0] / np.float32(length**parameters.length_penalty)
    return bool(possible > finished[-1].score)


def _cut_short(running: _Candidates, plan: DecodeRequest) -> list[Beam]:
    scores = running.scores / np.float32(len(running.tokens[0]) ** plan.parameters.length_penalty)
    return [Beam(*each, "cancelled") for each in zip(running.tokens, scores.tolist(), strict=True)]


def _best(beams: Sequence[Beam], number: int) -> list[Beam]:
    return sorted(beams, key=lambda beam: -beam.score)[:number]


def _largest(scores: Scores, number: int) -> npt.NDArray[np.int64]:
    """The places of the largest scores, largest first; the first place where scores are equal."""
    places = np.argpartition(-scores, number - 1)[:number] if number < len(scores) else np.arange(len(scores))
    return places[np.lexsort((places, -scores[places]))]


def _holds_stop(tokens: Sequence[int], plan: DecodeRequest) -> bool:
    if not plan.parameters.stop or plan.detokenizer is None:
        return False
    text = plan.detokenizer.text([*plan.prefix, *tokens])[len(plan.detokenizer.text(plan.prefix)) :]
    return any(stop in text for stop in plan.parameters.stop)
