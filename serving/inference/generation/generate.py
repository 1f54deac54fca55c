"""Continue a prompt greedily, by sampling or by beam search.

Greedy decoding and beam search select transformers' tokens. Sampling draws from numpy's Philox4x64 (Salmon et al. 2011,
"Parallel Random Numbers: As Easy as 1, 2, 3"), keyed by seed and answer number, so that every machine draws the same
but for rounding.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import cast

import numpy as np

from serving.errors import InputError
from serving.inference.generation.beam_search import Beam, beam_search
from serving.inference.generation.decode_request import DecodeRequest
from serving.inference.generation.detokenizer import Detokenizer
from serving.inference.generation.kv_cache import Decoding, GenerationSession
from serving.inference.generation.logits_processors import Scores, log_softmax, probabilities, process_logits
from serving.tasks.generation import (
    MAX_NEW_TOKENS,
    NO_RULES,
    FinishReason,
    Generated,
    GenerationParameters,
    Token,
    TokenRules,
)

Steps = Generator[None, None, list[Generated]]


def generate(
    session: GenerationSession,
    input_ids: Sequence[int],
    parameters: GenerationParameters,
    *,
    eos_token_ids: Sequence[int],
    rules: TokenRules = NO_RULES,
    detokenizer: Detokenizer | None = None,
    on_token: Callable[[Token], None] = lambda token: None,
) -> Steps:
    """Gives ``num_return_sequences`` answers at the end; yields between two calls of a graph, and after each token.

    Between two yields there is as little work as can be. It may be left there.

    Args:
        session: the model.
        input_ids: the prompt.
        parameters: of the request.
        eos_token_ids: end tokens, if any.
        rules: the model's own.
        detokenizer: needed for text and ``stop``.
        on_token: called with each token; in beam search at the end.

    Raises:
        InputError: the prompt is empty, or every token is forbidden.
        InputTooLarge: the prompt leaves no room for an answer.
    """
    if not input_ids:
        raise InputError("inputs has no tokens; a prompt needs one at least", field="inputs")
    if parameters.stop and detokenizer is None:
        raise ValueError("stop texts need a detokenizer")
    limit = new_tokens(session, len(input_ids), parameters)
    decoding = session.begin(input_ids)
    yield from decoding.read()
    request = DecodeRequest(parameters, decoding.prefix, tuple(eos_token_ids), limit, detokenizer, on_token, rules)
    if parameters.num_beams > 1:
        beams = yield from beam_search(decoding, request)
        return (yield from _emit_beams(beams, request))
    return (yield from _decode_rows(decoding, request))


def run(steps: Steps) -> list[Generated]:
    """To the end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("list[Generated]", end.value)


def new_tokens(session: GenerationSession, prompt: int, parameters: GenerationParameters) -> int:
    """At most, of an answer to so many tokens; raises InputTooLarge."""
    most, room = parameters.max_new_tokens or MAX_NEW_TOKENS, session.room(prompt)
    return most if room is None else min(most, room)


def _emit_beams(beams: Sequence[Beam], request: DecodeRequest) -> Steps:
    emitted = []
    for number, beam in enumerate(beams):
        answer = _Answer(number, request, None)
        for position, token in enumerate(beam.tokens, 1):
            answer.put(token, beam.finish_reason if position == len(beam.tokens) else None)
            yield
        emitted.append(Generated(beam.tokens, answer.text, beam.score, beam.finish_reason))
    return emitted


def _decode_rows(decoding: Decoding, request: DecodeRequest) -> Steps:
    parameters = request.parameters
    seed = None if not parameters.do_sample else secrets.randbits(64) if parameters.seed is None else parameters.seed
    answers = [_Answer(number, request, seed) for number in range(parameters.num_return_sequences)]
    running = answers
    decoding.select([0] * len(answers))
    while True:
        yield from _append_tokens(decoding.logits, running, request)
        unfinished = [row for row, answer in enumerate(running) if answer.finish_reason is None]
        if not unfinished:
            return [answer.to_generated() for answer in answers]
        if len(unfinished) < len(running):
            running = [running[row] for row in unfinished]
            decoding.select(unfinished)
        decoding.step([answer.tokens[-1] for answer in running])


def _append_tokens(logits: Scores, running: Sequence[_Answer], request: DecodeRequest) -> Iterator[None]:
    sequences = [answer.sequence for answer in running]
    scores = process_logits(logits, sequences, len(running[0].tokens), request)
    for answer, row, log_probabilities in zip(running, scores, log_softmax(logits), strict=True):
        token = answer.select(row)
        answer.log_probability += float(log_probabilities[token])
        answer.put(token)
        yield


class _Answer:
    def __init__(self, number: int, request: DecodeRequest, seed: int | None) -> None:
        self.number, self.request, self.seed = number, request, seed
        self.tokens, self.sequence = list[int](), list(request.prefix)  # a new list a step would be quadratic
        self.text, self.log_probability = "", 0.0
        self.finish_reason: FinishReason | None = None
        self._stream = request.text_stream()
        self._random = None if seed is None else np.random.Philox(key=(number << 64) + seed)

    def select(self, scores: Scores) -> int:
        """The best token, or one drawn by its probability."""
        if self._random is None:
            return int(scores.argmax())
        cumulative = np.cumsum(probabilities(scores, self.request.parameters))
        # 53 random bits make a float in [0, 1), as in numpy: always below the last sum.
        fraction = (int(self._random.random_raw()) >> 11) * 2.0**-53
        return int(np.searchsorted(cumulative, fraction * cumulative[-1], side="right"))

    def put(self, token: int, finish_reason: FinishReason | None = None) -> None:
        """Append and emit a token. Without a ``finish_reason``, find out whether the answer ends."""
        self.tokens.append(token)
        self.sequence.append(token)
        piece = self._stream.put(token) if self._stream else ""
        stopped = self._stream.stopped if self._stream else False
        self.finish_reason = finish_reason or self.request.finish_reason(self.tokens, stopped)
        if self.finish_reason and self._stream:
            piece += self._stream.end()
        self.text += piece
        self.request.on_token(Token(self.number, token, piece, self.finish_reason))

    def to_generated(self) -> Generated:
        score = self.log_probability / len(self.tokens) ** self.request.parameters.length_penalty
        return Generated(self.tokens, self.text, score, cast("FinishReason", self.finish_reason), self.seed)
