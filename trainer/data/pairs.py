"""Pairs of a text and one that answers it: hard negatives, and which rows a split keeps together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.errors import InputError
from trainer.data.columns import is_missing, text_problem
from trainer.data.rows import NEGATIVE, SAMPLED, normalize

FEWEST_PARTS = 20
"""Where fewer parts share neither a first nor a second text, rows with the same first text stay together instead."""


def negative_texts(name: str, value: Any) -> list[str]:
    """A column's value as texts: none, one or several; raises InputError."""
    if is_missing(value):
        return []
    texts = list(value) if isinstance(value, (list, tuple)) else [value]
    for text in texts:
        if problem := text_problem(text):
            raise InputError(f"{name} {problem}")
    return texts


def to_inputs(pair: dict[str, str], negatives: Sequence[str]) -> dict[str, str]:
    """A row's inputs; a negative that is the right answer, or comes twice, is left out."""
    known, kept = {normalize(text) for text in pair.values()}, []
    for text in negatives:
        if normalize(text) not in known:
            known.add(normalize(text))
            kept.append(text)
    return {**pair, **{f"{NEGATIVE}{number}": text for number, text in enumerate(kept, 1)}}


def with_sampled(inputs: dict[str, str], texts: Sequence[str]) -> dict[str, str]:
    return {**inputs, **{f"{SAMPLED}{number}": text for number, text in enumerate(texts, 1)}}


def without_sampled(inputs: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in inputs.items() if not name.startswith(SAMPLED)}


def group_pairs(inputs: Sequence[dict[str, str]]) -> list[str]:
    """A name for each row: those that share a first or a second text, directly or by way of others, have one."""
    parts = _Parts()
    for pair in inputs:
        parts.join(("text", normalize(pair["text"])), ("text_pair", normalize(pair["text_pair"])))
    names = ["\n".join(parts.root(("text", normalize(pair["text"])))) for pair in inputs]
    if len(set(names)) < FEWEST_PARTS:
        return [normalize(pair["text"]) for pair in inputs]
    return names


class _Parts:
    """Disjoint sets of texts."""

    def __init__(self) -> None:
        self._parents: dict[tuple[str, str], tuple[str, str]] = {}

    def root(self, node: tuple[str, str]) -> tuple[str, str]:
        path = []
        while (parent := self._parents.setdefault(node, node)) != node:
            path.append(node)
            node = parent
        self._parents.update(dict.fromkeys(path, node))
        return node

    def join(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        self._parents[self.root(other)] = self.root(one)
