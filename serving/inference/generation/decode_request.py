"""What every decoding strategy reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from serving.inference.generation.detokenizer import Detokenizer, TextStream
from serving.inference.generation.stop_texts import StopTexts
from serving.tasks.generation import NO_RULES, FinishReason, GenerationParameters, Token, TokenRules


@dataclass(frozen=True)
class DecodeRequest:
    """Attributes:
    prefix: tokens before the answer.
    limit: most tokens of an answer.
    detokenizer: needed for text and stop texts.
    on_token: called with each token.
    rules: the model's own.
    """

    parameters: GenerationParameters
    prefix: list[int]
    eos_token_ids: Sequence[int]
    limit: int
    detokenizer: Detokenizer | None = None
    on_token: Callable[[Token], None] = field(default=lambda token: None)
    rules: TokenRules = NO_RULES

    def text_stream(self) -> TextStream | None:
        if self.detokenizer is None:
            return None
        return TextStream(self.detokenizer, context=self.prefix, stop=self._stop_texts)

    @cached_property
    def _stop_texts(self) -> StopTexts:
        return StopTexts(self.parameters.stop)

    def finish_reason(self, tokens: Sequence[int], stopped: bool) -> FinishReason | None:
        """Why an answer ends with its last token, if it does; ``stopped``: by a stop text."""
        if tokens[-1] in self.eos_token_ids:
            return "eos_token"
        if stopped:
            return "stop_sequence"
        return "length" if len(tokens) >= self.limit else None
