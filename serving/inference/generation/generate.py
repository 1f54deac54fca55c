"""Continues a prompt: greedy, by sampling, or by beam search, until the answer ends or is no longer wanted.

Greedy and beam search choose the tokens that torch and transformers choose. A draw is repeatable by its seed on any
machine, but it is not torch's: random numbers are the raw output of numpy's Philox4x64 (Salmon et al. 2011, "Parallel
Random Numbers: As Easy as 1, 2, 3"), keyed by the seed and the number of the answer, one a token. numpy promises that
stream for good. Machines may still differ where a draw falls within rounding (about one in a million) of a limit
between two tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import numpy as np

from serving.errors import InputError
from serving.inference.generation.beam_search import Beam, beam_search
from serving.inference.generation.decode_request import DecodeRequest
from serving.inference.generation.detokenizer import Detokenizer
from serving.inference.generation.kv_cache import Decoding, GenerationSession
from serving.inference.generation.logits_processors import Scores, adjusted, log_softmax, probabilities
from serving.tasks.generation import DecodingParameters, FinishReason, Generated, Token


def generate(
    session: GenerationSession,
    input_ids: Sequence[int],
    parameters: DecodingParameters,
    *,
    eos_token_ids: Sequence[int],
    detokenizer: Detokenizer | None = None,
    on_token: Callable[[Token], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Generated]:
    """``num_return_sequences`` answers to one prompt.

    Args:
        session: the model.
        input_ids: the prompt's tokens, special ones included.
        parameters: how to choose tokens and when to end.
        eos_token_ids: tokens that end an answer; there may be none.
        detokenizer: makes text of tokens; needed for texts and for ``stop``.
        on_token: told of each token as it is chosen. Beam search knows its tokens only when it is done: they come then.
        should_stop: asked between tokens; once it is True, what there is comes back, as ``cancelled``.

    Raises:
        InputError: the prompt is empty, or ``no_repeat_ngram_size`` forbids every token.
        InputTooLarge: the prompt leaves no room for an answer.
    """
    if not input_ids:
        raise InputError("inputs has no tokens; a prompt needs one at least", field="inputs")
    if parameters.stop and detokenizer is None:
        raise ValueError("stop texts need a detokenizer")
    decoding = session.begin(input_ids)
    limit = parameters.max_new_tokens if decoding.room is None else min(parameters.max_new_tokens, decoding.room)
    told, asked = on_token or (lambda token: None), should_stop or (lambda: False)
    plan = DecodeRequest(parameters, decoding.prefix, tuple(eos_token_ids), limit, detokenizer, asked, told)
    return _by_beams(decoding, plan) if parameters.num_beams > 1 else _by_rows(decoding, plan)


def _by_beams(decoding: Decoding, plan: DecodeRequest) -> list[Generated]:
    beams = beam_search(decoding, plan)
    return [_told(number, beam, plan) for number, beam in enumerate(beams)]


def _told(number: int, beam: Beam, plan: DecodeRequest) -> Generated:
    answer = _Answer(number, plan, None)
    for place, token in enumerate(beam.tokens, 1):
        answer.put(token, beam.finish_reason if place == len(beam.tokens) else None)
    return Generated(beam.tokens, answer.text, beam.score, beam.finish_reason)


def _by_rows(decoding: Decoding, plan: DecodeRequest) -> list[Generated]:
    """Greedy or sampled: each answer is a row, and leaves when it has ended."""
    parameters = plan.parameters
    seed = None if not parameters.do_sample else secrets.randbits(64) if parameters.seed is None else parameters.seed
    answers = [_Answer(number, plan, seed) for number in range(parameters.num_return_sequences)]
    running = answers
    decoding.select([0] * len(answers))
    while True:
        _choose(decoding.logits, running, plan)
        going = [row for row, answer in enumerate(running) if answer.finish_reason is None]
        if not going or plan.should_stop():
            return [answer.generated() for answer in answers]
        if len(going) < len(running):
            running = [running[row] for row in going]
            decoding.select(going)
        decoding.step([answer.tokens[-1] for answer in running])


def _choose(logits: Scores, running: Sequence[_Answer], plan: DecodeRequest) -> None:
    """One more token for every row."""
    sequences = [[*plan.prefix, *answer.tokens] for answer in running]
    scores = adjusted(logits, sequences, len(running[0].tokens), plan.parameters, plan.eos_token_ids)
    logarithms = log_softmax(logits)
    for answer, row, logarithm in zip(running, scores, logarithms, strict=True):
        token = answer.choose(row)
        answer.log_probability += float(logarithm[token])
        answer.put(token)


class _Answer:
    """One answer while it grows."""

    def __init__(self, number: int, plan: DecodeRequest, seed: int | None) -> None:
        self.number, self.plan, self.seed = number, plan, seed
        self.tokens: list[int] = []
        self.text, self.log_probability = "", 0.0
        self.finish_reason: FinishReason | None = None
        self._stream = plan.text_stream()
        self._random = None if seed is None else np.random.Philox(key=(number << 64) + seed)

    def choose(self, scores: Scores) -> int:
        """The best token, or one drawn by its probability."""
        if self._random is None:
            return int(scores.argmax())
        cumulative = np.cumsum(probabilities(scores, self.plan.parameters))
        # 53 random bits, as numpy itself makes a float of them: even over [0, 1), so always below the last sum.
        fraction = (int(self._random.random_raw()) >> 11) * 2.0**-53
        return int(np.searchsorted(cumulative, fraction * cumulative[-1], side="right"))

    def put(self, token: int, finish_reason: FinishReason | None = None) -> None:
        """Append a token, find out whether the answer ends with it unless told, and tell of it."""
        self.tokens.append(token)
        piece = self._stream.put(token) if self._stream else ""
        stopped = self._stream.stopped if self._stream else False
        self.finish_reason = finish_reason or self.plan.finish_reason(self.tokens, stopped)
        if self.finish_reason and self._stream:
            piece += self._stream.end()
        self.text += piece
        self.plan.on_token(Token(self.number, token, piece, self.finish_reason))

    def generated(self) -> Generated:
        """The answer as it stands."""
        score = self.log_probability / len(self.tokens) ** self.plan.parameters.length_penalty
        return Generated(self.tokens, self.text, score, self.finish_reason or "cancelled", self.seed)
