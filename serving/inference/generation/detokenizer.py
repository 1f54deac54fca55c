"""Makes text of tokens while they come: pieces that are never taken back, and that join to the text of the whole.

A token may be part of a character: byte-level vocabularies cut one code point into several tokens, and U+FFFD stands
for it until the last has come. A decoder may also drop the space that a text begins with. So the text of new tokens
is what they add to the text of those before, not what they say alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """Text of tokens, as ``tokenizer.json`` tells; special tokens have none."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Take the tokenizer of the bundle."""
        self._tokenizer = tokenizer
        self._bytes = _byte_tokens(tokenizer)

    def text(self, token_ids: Sequence[int]) -> str:
        """The text of a whole."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def is_open(self, token_id: int) -> bool:
        """Whether what follows can change the token's text even though it is a character by now.

        A run of ``<0x…>`` tokens is read as a whole: one byte that does not belong turns all of it into U+FFFD.
        """
        return token_id in self._bytes


class TextStream:
    """The text of one answer, token by token."""

    def __init__(self, detokenizer: Detokenizer, *, context: Sequence[int] = (), stop: Sequence[str] = ()) -> None:
        """Begin an answer.

        Args:
            detokenizer: makes text of tokens.
            context: the tokens before the answer, so that its first word keeps its space.
            stop: the answer ends before the first of these.
        """
        self.stopped = False
        self._detokenizer, self._stop = detokenizer, tuple(stop)
        self._ids, self._start, self._settled = list(context), 0, len(context)
        self._held = ""

    def put(self, token_id: int) -> str:
        """Take one more token and give the text that is certain now, which may be empty."""
        self._ids.append(token_id)
        fresh = self._fresh()
        if (end := _first(self._stop, self._held + fresh)) is not None:
            self.stopped = True
            return self._release(self._held + fresh, end)
        if not fresh or fresh.endswith(INCOMPLETE) or self._detokenizer.is_open(token_id):
            return ""
        self._start, self._settled = self._settled, len(self._ids)
        text = self._held + fresh
        return self._release(text, len(text) - _held_back(self._stop, text))

    def end(self) -> str:
        """The rest of the text, once no token follows."""
        rest = "" if self.stopped else self._held + self._fresh()
        self._held, self._start, self._settled = "", len(self._ids), len(self._ids)
        return rest

    def _fresh(self) -> str:
        """What the tokens that are not settled add to the text of the last that are."""
        before = self._detokenizer.text(self._ids[self._start : self._settled])
        return self._detokenizer.text(self._ids[self._start :])[len(before) :]

    def _release(self, text: str, end: int) -> str:
        self._held = text[end:]
        return text[:end]


def _first(stops: Sequence[str], text: str) -> int | None:
    """Where the earliest of the stop texts begins."""
    return min((at for stop in stops if (at := text.find(stop)) >= 0), default=None)


def _held_back(stops: Sequence[str], text: str) -> int:
    """How many characters at the end may be the beginning of a stop text."""
    sizes = (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size]))
    return max(sizes, default=0)


def _byte_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    ids = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)]
    known = [token_id for token_id in ids if token_id is not None]
    # Only a decoder with byte fallback reads such a token as a byte, and this byte is never a character alone.
    alone = ids[0xFF] is not None and tokenizer.decode([ids[0xFF]]) == INCOMPLETE
    return frozenset(known) if alone else frozenset()
