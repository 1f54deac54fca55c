"""Text of tokens as they are generated: pieces are never revised and join to the whole text.

One code point may take several tokens; U+FFFD stands for it until the last. A decoder may drop a text's first space. So
new text is what tokens add to the text before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from tokenizers import Tokenizer

from serving.inference.generation.stop_texts import NO_STOP, StopTexts

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """Token ids to text, without special tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._bytes = _byte_tokens(tokenizer)

    def text(self, token_ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def is_open(self, token_id: int) -> bool:
        """Whether later tokens may change its text: an invalid byte turns a run of ``<0x…>`` into U+FFFD."""
        return token_id in self._bytes


class TextStream:
    """One answer's text."""

    def __init__(self, detokenizer: Detokenizer, *, context: Sequence[int] = (), stop: StopTexts = NO_STOP) -> None:
        """``context``: tokens before the answer; ``stop``: texts that end it."""
        self.stopped = False
        self._detokenizer, self._stop = detokenizer, stop
        self._before, self._open = list(context), list[int]()  # tokens with final text, of which the last count; others
        self._pending, self._matched = "", stop.begin

    def copy(self) -> TextStream:
        """To continue in another way."""
        copied = copy(self)
        copied._open = list(self._open)
        return copied

    def put(self, token_id: int) -> str:
        """Add a token; returns the text that is final now."""
        self._open.append(token_id)
        new = self._new_text()
        text = self._pending + new
        if (end := self._stop.find(text)) is not None:
            self.stopped = True
            return self._release(text, end)
        if not new or new.endswith(INCOMPLETE) or self._detokenizer.is_open(token_id):
            return ""
        self._before, self._open = self._open, []
        self._matched = self._stop.match(self._matched, new)
        return self._release(text, len(text) - max(self._matched, default=0))

    def end(self) -> str:
        """The remaining text, after the last token."""
        rest = "" if self.stopped else self._pending + self._new_text()
        self._pending, self._before, self._open = "", [], []
        return rest

    def _new_text(self) -> str:
        """What tokens that are not final add to those before."""
        before = self._detokenizer.text(self._before)
        return self._detokenizer.text([*self._before, *self._open])[len(before) :]

    def _release(self, text: str, end: int) -> str:
        self._pending = text[end:]
        return text[:end]


def _byte_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    ids = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)]
    known = [token_id for token_id in ids if token_id is not None]
    # Only a decoder with byte fallback reads such a token as a byte; 0xFF alone is never a character.
    fallback = ids[0xFF] is not None and tokenizer.decode([ids[0xFF]]) == INCOMPLETE
    return frozenset(known) if fallback else frozenset()
