"""Hand-made models over real tokenizers: logits that a test says itself, for windows that the libraries make."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from tokenizers import Encoding, Tokenizer

from serving.bundle.manifest import Limits
from serving.tasks.base import Encoded, Logits, Task
from tests import zoo_tokenizers

MAKERS = {
    "BERT": zoo_tokenizers.bert,
    "mBERT": lambda: zoo_tokenizers.bert(lowercase=False),
    "RoBERTa": zoo_tokenizers.roberta,
    "ModernBERT": zoo_tokenizers.modernbert,
    "XLM-R": zoo_tokenizers.xlm_roberta,
    "ALBERT": zoo_tokenizers.albert,
    "DeBERTa": zoo_tokenizers.deberta,
}
"""WordPiece, byte-level BPE and SentencePiece, with and without lower case, accents and the space before a word."""

KINDS = tuple(MAKERS)
LIMITS = Limits()


@cache
def _serialized(kind: str) -> str:
    written: str = MAKERS[kind]().backend_tokenizer.to_str()
    return written


def tokenizer_of(kind: str, task: Task, max_length: int = 512) -> Tokenizer:
    """A real tokenizer of a kind, set up for a task as the predictor does it."""
    return _tokenizer(kind, task.stride, task.truncation, max_length)


@cache
def _tokenizer(kind: str, stride: int, truncation: str, max_length: int) -> Tokenizer:
    tokenizer = Tokenizer.from_str(_serialized(kind))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, stride=stride, strategy=truncation)
    return tokenizer


def encode(tokenizer: Tokenizer, task: Task, item: object) -> Encoded:
    """The windows of an item, as the predictor makes them."""
    (encoding,) = tokenizer.encode_batch([task.segments(item)])
    return Encoded(item, task.windows(encoding))


def decide(encoded: Encoded, text: str, label: Callable[[str, int], int], labels: int) -> list[Logits]:
    """Logits [tokens, labels] a window: 4 for the label that ``label`` gives a token's text and id, 0 for others."""
    return [_one_hot([label(text[s:e], i) for i, (s, e) in _tokens(each)], labels) for each in encoded.windows]


def row(*values: float) -> Logits:
    """One row of logits."""
    return np.array(values, dtype=np.float32)


def one_row(*values: float) -> tuple[Encoded, list[Logits]]:
    """An input that no decoding looks at, and its one row of logits."""
    return Encoded("a text", []), [row(*values)]


def _tokens(window: Encoding) -> list[tuple[int, tuple[int, int]]]:
    return list(zip(window.ids, window.offsets, strict=True))


def _one_hot(labels: list[int], width: int) -> Logits:
    return 4 * np.eye(width, dtype=np.float32)[labels]
