"""Tags of words and of tokens, matched by their places in the joined text.

A target is ``{"words": [[start, end], …], "tags": […]}``: each word's characters and its BIO tag.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tokenizers import Encoding

from serving.errors import InputError, quote
from serving.tasks.activations import apply_function
from serving.tasks.base import Logits
from serving.tasks.token_classification import OUTSIDE
from trainer.data.rows import Rows
from trainer.metrics.entities import spans_of

Place = tuple[str, int, int]
"""An entity's type, first character, character after the last."""


def word_places(words: Sequence[str], separator: str) -> list[list[int]]:
    places, start = [], 0
    for word in words:
        places.append([start, start + len(word)])
        start += len(word) + len(separator)
    return places


def token_tags(window: Encoding, target: dict[str, Any]) -> Iterator[str]:
    """That of the word where a token begins, I- after its first token, "" for special tokens."""
    words, tags = target["words"], target["tags"]
    at, seen = 0, -1
    for (start, end), special in zip(window.offsets, window.special_tokens_mask, strict=True):
        if special or start == end:
            yield ""
            continue
        # A token that takes in the space before its word begins where the word before ends.
        while at < len(words) - 1 and words[at][1] <= start:
            at += 1
        tag = tags[at]
        yield f"I-{tag[2:]}" if tag[:2] == "B-" and at == seen else tag
        seen = at


def answered_tags(rows: Rows, answers: Sequence[Any]) -> list[list[str]]:
    """An entity takes in every word that it touches."""
    return [_tags_of(target["words"], answer) for target, answer in zip(rows.targets, answers, strict=True)]


def _tags_of(words: Sequence[Sequence[int]], entities: Sequence[dict[str, Any]]) -> list[str]:
    tags = [OUTSIDE] * len(words)
    for entity in entities:
        inside = [
            at
            for at, (start, end) in enumerate(words)
            if start < entity["end"] and entity["start"] < end and tags[at] == OUTSIDE
        ]
        for position, at in enumerate(inside):
            tags[at] = f"{'I' if position else 'B'}-{entity['entity_group']}"
    return tags


def entity_places(target: dict[str, Any]) -> list[Place]:
    words = target["words"]
    return [(kind, words[start][0], words[end - 1][1]) for kind, start, end in spans_of(target["tags"])]


def tags_probability(
    labels: Sequence[str], windows: Sequence[Encoding], logits: Sequence[Logits], target: dict[str, Any], place: Place
) -> float:
    """The mean probability of an expected entity's own tags, in the window that has most of its tokens."""
    kind, start, end = place
    numbers = {label: at for at, label in enumerate(labels)}
    found = np.empty(0)
    for window, scores in zip(windows, logits, strict=True):
        tokens = [
            (row, numbers[tag])
            for row, (tag, span) in enumerate(zip(token_tags(window, target), window.offsets, strict=True))
            if tag[2:] == kind and span[0] < end and start < span[1]
        ]
        if len(tokens) > len(found):
            rows, columns = zip(*tokens, strict=True)
            found = apply_function(scores[list(rows)], "softmax")[range(len(rows)), columns]
    return float(found.mean()) if len(found) else 0.0


def drop_unseen(text: str, target: dict[str, Any], window: Encoding) -> int:
    """Take the tags of words without a token from entities, in place; returns how many.

    ``window`` is the whole text's. A tokenizer may drop a word of zero-width or control characters. Within an entity it
    keeps its tag, as answered entities take it in too. Raises InputError for an entity without any token.
    """
    seen = [False] * len(target["words"])
    at = 0
    for start, end in window.offsets:
        while at < len(seen) and target["words"][at][1] <= start:
            at += 1
        for word in range(at, len(seen)):
            if target["words"][word][0] >= end:
                break
            seen[word] = True
    count = 0
    for kind, start, end in spans_of(target["tags"]):
        visible = [at for at in range(start, end) if seen[at]]
        if not visible:
            found = quote(text[target["words"][start][0] : target["words"][end - 1][1]])
            raise InputError(f"the entity {kind} {found} has no token: the model's tokenizer drops it")
        outside = [*range(start, visible[0]), *range(visible[-1] + 1, end)]
        for at in outside:
            target["tags"][at] = OUTSIDE
        target["tags"][visible[0]] = f"B-{kind}"
        count += len(outside)
    return count


def may_be_unseen(text: str, target: dict[str, Any]) -> bool:
    """Whether an entity has a word without a letter or digit, the only ones that tokenizers drop."""
    pairs = zip(target["words"], target["tags"], strict=True)
    return any(tag != OUTSIDE and not any(map(str.isalnum, text[start:end])) for (start, end), tag in pairs)
