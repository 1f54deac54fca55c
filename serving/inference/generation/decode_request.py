"""What decoding is given and gives: the plan of one request, its tokens as they come, its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from serving.inference.generation.detokenizer import Detokenizer, TextStream
from serving.tasks.generation import DecodingParameters, FinishReason, Token


@dataclass(frozen=True)
class DecodeRequest:
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

    parameters: DecodingParameters
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
