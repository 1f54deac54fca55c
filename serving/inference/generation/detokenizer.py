"""Text of tokens as they are generated: pieces are never revised and join to the whole text.

One code point may take several tokens; U+FFFD stands for it until the last. A decoder may drop a text's first space. So
new text is what tokens add to the text before them.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

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

    def __init__(self, detokenizer: Detokenizer, *, context: Sequence[int] = (), stop: Sequence[str] = ()) -> None:
        """``context``: tokens before the answer; ``stop``: texts that end it."""
        self.stopped = False
        self._detokenizer, self._stop = detokenizer, tuple(stop)
        self._ids, self._start, self._final = list(context), 0, len(context)
        self._pending = ""

    def put(self, token_id: int) -> str:
        """Add a token; returns the text that is final now."""
        self._ids.append(token_id)
        text = self._new_text()
        unfinished = not text or text.endswith(INCOMPLETE) or self._detokenizer.is_open(token_id)
        text = self._pending + text
        if (end := _find_first(self._stop, text)) is not None:
            self.stopped = True
            return self._release(text, end)
        if unfinished:
            return ""
        self._start, self._final = self._final, len(self._ids)
        return self._release(text, len(text) - _stop_prefix_length(self._stop, text))

    def end(self) -> str:
        """The remaining text, after the last token."""
        rest = "" if self.stopped else self._pending + self._new_text()
        self._pending, self._start, self._final = "", len(self._ids), len(self._ids)
        return rest

    def _new_text(self) -> str:
        """What tokens that are not final add to those before."""
        before = self._detokenizer.text(self._ids[self._start : self._final])
        return self._detokenizer.text(self._ids[self._start :])[len(before) :]

    def _release(self, text: str, end: int) -> str:
        self._pending = text[end:]
        return text[:end]


def _find_first(stops: Sequence[str], text: str) -> int | None:
    return min((at for stop in stops if (at := text.find(stop)) >= 0), default=None)


def _stop_prefix_length(stops: Sequence[str], text: str) -> int:
    """Characters at the end that may begin a stop text."""
    sizes = (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size]))
    return max(sizes, default=0)


def _byte_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    ids = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)]
    known = [token_id for token_id in ids if token_id is not None]
    # Only a decoder with byte fallback reads such a token as a byte; 0xFF alone is never a character.
    fallback = ids[0xFF] is not None and tokenizer.decode([ids[0xFF]]) == INCOMPLETE
    return frozenset(known) if fallback else frozenset()
