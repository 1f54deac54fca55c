"""A long text is clipped before it is tokenised, where that cannot change the tokens that stay.

Normalisers and pre-tokenisers of the kinds named here read a text character by character or run by run of one class:
what stands far behind a word never changes it. So of a clipped text all words are the whole text's but the last few,
and those that a longer added token might have begun in. Where the tokens to keep are not all before these, more of the
text is tokenised, and in the end the whole. A tokenizer of another kind gets whole texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tokenizers import AddedToken, Encoding, Tokenizer

from serving.tasks.base import Side

CHARACTERS_PER_TOKEN, SPARE_CHARACTERS, GROWTH = 8, 256, 8
"""How much of a text is tried first, and how many times more at each further try."""

UNSURE_WORDS = 4
"""At the clipped end. A regular expression reads at most the last run of spaces, marks or letters otherwise."""

NORMALIZERS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Prepend", "Strip"}
REMOVING = {"BertNormalizer", "Nmt", "Precompiled", "StripAccents"}
"""They may also remove any number of characters."""

PRE_TOKENIZERS = {"BertPreTokenizer", "ByteLevel", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit"}
SPACES = (" {2,}", r"\s{2,}|[\n\r\t]")
RUNS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen's pre-tokeniser. Llama 3's takes three digits at once: from another start, others."""


class Clipper:
    """For texts of which at most so many tokens stay."""

    def __init__(self, tokenizer: Tokenizer, most: int, first: int | None = None) -> None:
        """``tokenizer`` neither truncates nor adds special tokens; ``first``: the characters of the first try."""
        self._tokenizer, self._most = tokenizer, most
        added = [each for each in tokenizer.get_added_tokens_decoder().values() if len(each.content) > 1]
        self._reach = 4 * max((len(each.content) for each in added), default=0)
        self.first = (first or CHARACTERS_PER_TOKEN * most + SPARE_CHARACTERS) + self._reach
        parts = [*_parts(tokenizer.normalizer), *_parts(tokenizer.pre_tokenizer)]
        self._sides: set[Side] = set() if tokenizer.pre_tokenizer is None else _sides(parts, added)
        if not most or getattr(tokenizer.model, "dropout", None):
            self._sides = set()

    def encode(self, text: str, side: Side) -> Encoding | None:
        """The tokens that stay and one more at least, where ``side`` is cut off; None if that takes the whole text."""
        for length in self._lengths(len(text)) if side in self._sides else ():
            part = text[:length] if side == "right" else text[-length:]
            encoding = self._tokenizer.encode_batch([part])[0]
            if self._keeps(encoding, part, side):
                return encoding
        return None

    def _lengths(self, characters: int) -> Iterator[int]:
        length = self.first
        while length < characters:
            yield length
            length *= GROWTH

    def _keeps(self, encoding: Encoding, part: str, side: Side) -> bool:
        """Whether the tokens that stay are sure: away from the clipped end by some words, and by an added token."""
        if len(encoding) <= self._most:
            return False
        words, offsets = encoding.word_ids, encoding.offsets
        if side == "right":
            sure = len(part[: len(part) - self._reach].rstrip())
            last = next((at for at, (_, end) in enumerate(offsets) if end > sure), len(words) - 1)
            return last >= self._most and _apart(words[self._most - 1], words[last])
        sure = len(part) - len(part[self._reach :].lstrip())
        first = next((at for at in range(len(words) - 1, -1, -1) if offsets[at][0] < sure), 0)
        return first < len(words) - self._most and _apart(words[first], words[-self._most])


def _apart(left: int | None, right: int | None) -> bool:
    return left is not None and right is not None and left + UNSURE_WORDS <= right


def _sides(parts: list[dict[str, Any]], added: list[AddedToken]) -> set[Side]:
    """From which a text may be clipped."""
    removing = any(part["type"] in REMOVING for part in parts)
    if not all(map(_is_local, parts)) or (removing and any(each.normalized for each in added)):
        return set()
    starts, insides = {each.content[0] for each in added}, "".join(each.content[1:] for each in added).strip()
    begins_anew = starts.intersection(insides) or any(r"{1,3}" in str(part.get("pattern")) for part in parts)
    return {"right"} if begins_anew else {"right", "left"}


def _is_local(part: dict[str, Any]) -> bool:
    pattern: dict[str, str] = part.get("pattern") or {}
    if part["type"] == "Replace":
        return "String" in pattern or pattern["Regex"] in SPACES
    if part["type"] == "Metaspace":
        return bool(part.get("split", True))
    if part["type"] == "Split":
        return "String" in pattern or pattern["Regex"].replace("{1,3}", "") == RUNS
    return part["type"] in NORMALIZERS | REMOVING | PRE_TOKENIZERS


def _parts(component: Any) -> Iterator[dict[str, Any]]:
    """Of a normaliser or pre-tokeniser, those of a sequence one by one."""
    if component is not None:
        state = json.loads(component.__getstate__())
        yield from state.get("normalizers") or state.get("pretokenizers") or [state]
