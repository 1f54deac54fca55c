"""Exact match and F1 of answers, as the SQuAD evaluations define them, for any script.

Words are compared in lower case, without punctuation and English articles (Rajpurkar et al. 2016, section 5; 2018 for
no answer). As in MLQA's evaluation (Lewis et al. 2020), punctuation is Unicode's, and in scripts without spaces each
character is a word.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import cache
from unicodedata import category
from unicodedata import name as character_name

from serving.tasks.spans import UNSPACED_SCRIPTS

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1.0 where the words equal a gold answer's; without gold words the right answer has none."""
    words = words_of(answer)
    return float(any(words == gold for gold in _gold_words(golds)))


def f1(answer: str, golds: Sequence[str]) -> float:
    """The highest F1 over the gold answers."""
    words = words_of(answer)
    return max(_overlap(words, gold) for gold in _gold_words(golds))


def words_of(text: str) -> list[str]:
    bare = "".join(character for character in text.lower() if not _is_punctuation(character))
    words = _ARTICLES.sub(" ", bare).split()
    return words if bare.isascii() else [part for word in words for part in _split_unspaced(word)]


def _split_unspaced(word: str) -> list[str]:
    parts: list[str] = []
    unspaced = True
    for character in word:
        if parts and (_is_mark(character) or not (unspaced or _is_unspaced(character))):
            parts[-1] += character
        else:
            parts.append(character)
            unspaced = _is_unspaced(character)
    return parts


def _gold_words(golds: Sequence[str]) -> list[list[str]]:
    return [words for words in map(words_of, golds) if words] or [[]]


def _overlap(words: list[str], gold: list[str]) -> float:
    if not words or not gold:
        return float(words == gold)
    # 2 PR / (P + R) with P = shared / len(words) and R = shared / len(gold)
    return 2 * (Counter(words) & Counter(gold)).total() / (len(words) + len(gold))


@cache
def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or category(character).startswith("P")


@cache
def _is_unspaced(character: str) -> bool:
    return character_name(character, "").startswith(UNSPACED_SCRIPTS)


@cache
def _is_mark(character: str) -> bool:
    return category(character).startswith("M")
