"""Texts as encodings of at most ``max_length`` tokens, truncated to the token as transformers truncates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tokenizers import Encoding, Tokenizer
from tokenizers.processors import TemplateProcessing

from serving.bundle.bundle import Bundle
from serving.errors import BundleError, InputError
from serving.inference.clipping import Clipper
from serving.tasks.base import Segments, Side, Task


@dataclass(frozen=True)
class Tokenized:
    """An item's ``windows``. ``cut`` counts the tokens that none of them has, beside ``read`` ones."""

    windows: list[Encoding]
    read: int
    cut: int = 0


class Tokenization(Protocol):
    """``most_tokens``: that an item's windows have together, special ones counted once; of any number, one window's."""

    tokenizer: Tokenizer
    most_tokens: int

    def encode(
        self, segments: Sequence[Segments], side: Side, *, offsets: bool, whole: bool = False, most: int | None = None
    ) -> list[Tokenized]:
        """Without padding; ``side`` loses what is too long. Without ``offsets`` it is faster.

        ``whole``: `Tokenized.cut` is the whole number, and not only above 0. ``most``: tokens, if fewer than the
        model's; raises InputError where special tokens leave no room for others.
        """


def load_tokenization(bundle: Bundle, task: Task) -> Tokenization:
    """Raises BundleError."""
    tokenizer, max_length = _load(bundle), bundle.manifest.tokenizer.max_length
    if task.max_windows is None:
        return WindowTokenization(tokenizer, max_length, task)
    if task.uses_windows:
        return BoundedWindowTokenization(tokenizer, max_length, task)
    return CutTokenization(tokenizer, max_length, pair=task.is_pair)


class WindowTokenization:
    """Of texts that are read in overlapping windows: by the tokenizers library itself."""

    def __init__(self, tokenizer: Tokenizer, max_length: int, task: Task) -> None:
        """Raises BundleError."""
        self.tokenizer, self.most_tokens = tokenizer, max_length
        _check_stride(tokenizer, max_length, task)
        try:
            tokenizer.enable_truncation(
                max_length, stride=task.stride, strategy=task.truncation, direction=task.truncation_side
            )
        except ValueError as error:
            raise BundleError(f"manifest.json: tokenizer.max_length {max_length}: {error}. Export again.") from error

    def encode(
        self, segments: Sequence[Segments], side: Side, *, offsets: bool, whole: bool = False, most: int | None = None
    ) -> list[Tokenized]:
        """Nothing is lost."""
        encodings = _encoder(self.tokenizer, offsets)(segments)
        return [Tokenized([each, *each.overflowing], len(each)) for each in encodings]


NO_SPECIAL_TOKENS = TemplateProcessing(single="$A", pair="$A $B:1", special_tokens=[])


class CutTokenization:
    """Of texts, and of pairs, the longer text of which is cut first.

    The tokenizers library keeps the parts that it cuts off, of a pair every one beside every part of the other text.
    Here each text is tokenised and cut alone, and what is cut off is dropped.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, *, pair: bool) -> None:
        self.tokenizer, self.most_tokens, self._pair = tokenizer, max_length, pair
        self._processor = tokenizer.post_processor or NO_SPECIAL_TOKENS
        self._special = tokenizer.num_special_tokens_to_add(is_pair=pair)
        self._most = max(max_length - self._special, 0)
        self.tokenizer.post_processor = None  # it would trim offsets twice
        self._clipper = Clipper(tokenizer, self._most)

    def encode(
        self, segments: Sequence[Segments], side: Side, *, offsets: bool, whole: bool = False, most: int | None = None
    ) -> list[Tokenized]:
        content = self._content(most)
        texts = [text for each in segments for text in (each if isinstance(each, tuple) else (each,))]
        whole = whole or (side == "left" and offsets)  # places are counted from the whole text's beginning
        if whole or all(len(text) <= self._clipper.first for text in texts):
            encodings = _encoder(self.tokenizer, offsets)(texts)
        else:
            encodings = self._encode_clipped(texts, side, content, _encoder(self.tokenizer, offsets))
        if not self._pair:
            return [self._finish(each, content, side) for each in encodings]
        pairs = zip(encodings[::2], encodings[1::2], strict=True)
        return [self._join(first, second, content, side) for first, second in pairs]

    def _content(self, most: int | None) -> int:
        """How many tokens stay beside the special ones."""
        if most is not None and most <= self._special:
            message = f"max_length is {most}, and the tokenizer adds {self._special} special tokens; send more"
            raise InputError(message, field="parameters")
        return self._most if most is None else min(self._most, most - self._special)

    def _encode_clipped(
        self, texts: Sequence[str], side: Side, content: int, encode: Callable[[Sequence[str]], list[Encoding]]
    ) -> list[Encoding]:
        """What stays of long texts; whole ones as they are."""
        found = [self._clipper.encode(text, side) if len(text) > self._clipper.first else None for text in texts]
        whole = iter(encode([text for text, each in zip(texts, found, strict=True) if each is None]))
        encodings = [next(whole) if each is None else each for each in found]
        for at in range(0, len(texts), 2) if self._pair and content % 2 else ():
            pair = slice(at, at + 2)  # the longer text has one token more: of clipped ones, it is not known which is
            if any(each is not None for each in found[pair]) and min(map(len, encodings[pair])) > content // 2:
                encodings[pair] = encode(texts[pair])
        return encodings

    def _finish(self, text: Encoding, content: int, side: Side) -> Tokenized:
        cut = max(len(text) - content, 0)
        whole = self._processor.process(_cut(text, content, side))
        return Tokenized([whole], len(whole), cut)

    def _join(self, first: Encoding, second: Encoding, content: int, side: Side) -> Tokenized:
        lengths = len(first), len(second)
        kept = longest_first(*lengths, content)
        parts = _cut(first, kept[0], side), _cut(second, kept[1], side)
        whole = self._processor.process(*parts)
        return Tokenized([whole], len(whole), sum(lengths) - sum(kept))


class BoundedWindowTokenization(CutTokenization):
    """Of texts that are read in so many overlapping windows at most: cut to what these hold, and split.

    As transformers does with ``stride`` and ``return_overflowing_tokens``; ``side`` is the end that is lost.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, task: Task) -> None:
        """Raises BundleError."""
        _check_stride(tokenizer, max_length, task)
        special = tokenizer.num_special_tokens_to_add(is_pair=False)
        self._window, self._stride = max_length - special, task.stride
        super().__init__(tokenizer, task.most_tokens(max_length, special), pair=False)

    def _finish(self, text: Encoding, content: int, side: Side) -> Tokenized:
        cut, text = max(len(text) - content, 0), _cut(text, content, side)
        read, count = len(text) + self._special, 1
        if len(text) > self._window:
            text.truncate(self._window, stride=self._stride, direction=side)
            count += len(text.overflowing)
        whole = self._processor.process(text)
        return Tokenized([whole, *whole.overflowing][:count], read, cut)  # a lone one may keep what was cut off


def longest_first(first: int, second: int, most: int) -> tuple[int, int]:
    """How many tokens of each text stay, ``most`` in all, as tokenizers' ``longest_first`` has it.

    The longer text is cut to the other's length at most, then both to halves; of an odd number the longer has one more.
    """
    if first + second <= most:
        return first, second
    half, rest = most // 2, most - most // 2
    if first <= second:
        return (first, most - first) if first <= half else (half, rest)
    return (most - second, second) if second <= half else (rest, half)


def _cut(encoding: Encoding, most: int, side: Side) -> Encoding:
    """Without, or with one of, the parts that are cut off: the library would join each with each of the other text."""
    excess = len(encoding) - most
    if excess <= 0:
        return encoding
    if excess < most or most == 0:
        encoding.truncate(most, direction=side)
        return encoding
    encoding.truncate(excess, direction="left" if side == "right" else "right")
    kept: Encoding = encoding.overflowing[0]
    return kept


def _encoder(tokenizer: Tokenizer, offsets: bool) -> Callable[[Sequence[Segments]], list[Encoding]]:
    return tokenizer.encode_batch if offsets else tokenizer.encode_batch_fast  # the fast one leaves offsets out


def _load(bundle: Bundle) -> Tokenizer:
    """Without truncation and padding."""
    name = bundle.manifest.tokenizer.file
    try:
        tokenizer = Tokenizer.from_buffer(bundle.read(name))
    except ValueError as error:
        raise BundleError(f"{name} is not a tokenizer that this version can read: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _check_stride(tokenizer: Tokenizer, max_length: int, task: Task) -> None:
    """The tokenizers library aborts the process if windows do not advance."""
    content = max_length - tokenizer.num_special_tokens_to_add(is_pair=task.truncation == "only_second")
    if task.stride >= content:
        raise BundleError(
            f"manifest.json: stride {task.stride} must be smaller than the window's {content} content tokens. "
            "Export the bundle again."
        )
