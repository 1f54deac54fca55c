"""What decoding is given and gives: the plan of one request, its tokens as they come, its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from serving.generation.parameters import GenerationParameters
from serving.generation.streaming import Detokenizer, TextStream

FinishReason = Literal["eos_token", "length", "stop_sequence", "cancelled"]
"""Why an answer ends; the first three as text-generation-inference names them."""


@dataclass(frozen=True)
class Generated:
    """One answer.

    Attributes:
        token_ids: its tokens alone, without the prompt; an end-of-sequence token is the last of them.
        text: its text, without the stop text; empty where no detokenizer was given.
        score: the sum of its tokens' log-probabilities / length ** length_penalty, as transformers ranks beams.
        finish_reason: why it ends.
        seed: what it was drawn with, given or not; None where nothing was drawn.
    """

    token_ids: list[int]
    text: str
    score: float
    finish_reason: FinishReason
    seed: int | None = None


@dataclass(frozen=True)
class Token:
    """One token of an answer as it comes.

    Attributes:
        sequence: which answer, from 0; answers drawn together come by turns.
        id: the token.
        text: what can be shown now; the texts of an answer's tokens, joined, are its text. May be empty.
        finish_reason: why the answer ends, with its last token; None before.
    """

    sequence: int
    id: int
    text: str
    finish_reason: FinishReason | None


@dataclass(frozen=True)
class Plan:
    """One request: what is wished, and what the model and the caller add to it.

    Attributes:
        parameters: the wishes.
        prefix: the tokens before the answer.
        eos_token_ids: tokens that end an answer.
        limit: tokens that an answer may have, by the wish and by the model's positions.
        detokenizer: makes text of tokens; None: there is none to be had.
        should_stop: asked between tokens; True: the answer is no longer wanted.
        on_token: told of each token.
    """

    parameters: GenerationParameters
    prefix: list[int]
    eos_token_ids: Sequence[int]
    limit: int
    detokenizer: Detokenizer | None = None
    should_stop: Callable[[], bool] = field(default=lambda: False)
    on_token: Callable[[Token], None] = field(default=lambda token: None)

    def text_stream(self) -> TextStream | None:
        """The text of a new answer."""
        if self.detokenizer is None:
            return None
        return TextStream(self.detokenizer, context=self.prefix, stop=self.parameters.stop)

    def finish_reason(self, tokens: Sequence[int], stopped: bool) -> FinishReason | None:
        """Why an answer ends after its last token, or None; ``stopped``: its text holds a stop text."""
        if tokens[-1] in self.eos_token_ids:
            return "eos_token"
        if stopped:
            return "stop_sequence"
        return "length" if len(tokens) >= self.limit else None
