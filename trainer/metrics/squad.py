"""Exact match and F1 of extracted answers, as the SQuAD 1.1 and 2.0 evaluations score them, for any script.

Both compare the words of two answers, after these steps (Rajpurkar et al. 2016, section 5; 2018 for no answer):
lower case; no punctuation; no articles; white space only parts words. Two steps are those of MLQA's evaluation
(Lewis et al. 2020) rather than SQuAD's, which knows ASCII alone:

- punctuation is what Unicode calls so, and the ASCII symbols that SQuAD's own evaluation removes;
- in scripts that put no space between words, each character is a word.

English answers without other punctuation than ASCII's score as by SQuAD's evaluation. Articles are English ones in
every language, as where XQuAD is scored with SQuAD's evaluation: German ones stay, and German "an" goes, in answer
and gold answer alike. MLQA's evaluation, told the language, removes that language's articles.
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
    """1.0 where the words are those of one of the gold answers, else 0.0.

    No gold answers, or none with a word in it, say that there is no answer; the right answer then has no words either.
    """
    words = words_of(answer)
    return float(any(words == gold for gold in _gold_words(golds)))


def f1(answer: str, golds: Sequence[str]) -> float:
    """The highest F1, 0 to 1, of the answer's words against those of a gold answer; no answer as in exact_match."""
    words = words_of(answer)
    return max(_overlap(words, gold) for gold in _gold_words(golds))


def words_of(text: str) -> list[str]:
    """The words that are compared: in scripts without spaces each character, with the marks that it bears."""
    bare = "".join(character for character in text.lower() if not _is_punctuation(character))
    words = _ARTICLES.sub(" ", bare).split()
    return words if bare.isascii() else [part for word in words for part in _parts(word)]


def _parts(word: str) -> list[str]:
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
    # 2 PR / (P + R), with the precision shared / len(words) and the recall shared / len(gold).
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
