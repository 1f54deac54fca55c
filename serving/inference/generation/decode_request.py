"""What every decoding strategy reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from serving.inference.generation.detokenizer import Detokenizer, TextStream
from serving.tasks.generation import NO_RULES, FinishReason, GenerationParameters, Token, TokenRules


@dataclass(frozen=True)
class DecodeRequest:
    """Attributes:
    prefix: tokens before the answer.
    limit: most tokens of an answer.
    detokenizer: needed for text and stop texts.
    should_stop: polled between tokens; True cancels.
    on_token: called with each token.
    rules: the model's own.
    """

    parameters: GenerationParameters
    prefix: list[int]
    eos_token_ids: Sequence[int]
    limit: int
    detokenizer: Detokenizer | None = None
    should_stop: Callable[[], bool] = field(default=lambda: False)
    on_token: Callable[[Token], None] = field(default=lambda token: None)
    rules: TokenRules = NO_RULES

    def text_stream(self) -> TextStream | None:
        if self.detokenizer is None:
            return None
        return TextStream(self.detokenizer, context=self.prefix, stop=self.parameters.stop)

    def finish_reason(self, tokens: Sequence[int], stopped: bool) -> FinishReason | None:
        """Why an answer ends with its last token, if it does; ``stopped``: by a stop text."""
        if tokens[-1] in self.eos_token_ids:
            return "eos_token"
        if stopped:
            return "stop_sequence"
        return "length" if len(tokens) >= self.limit else None
