"""Strings that are hard for tokenizers: the same in every proof, and of every kind that was meant."""

from __future__ import annotations

import hashlib
import unicodedata
from random import Random

import pytest

from export.proof.answers.hard_strings import CATEGORIES, hard_strings

MADE = {name: [make(Random(seed)) for seed in range(300)] for name, make in CATEGORIES.items()}

KINDS = {
    "combining marks": ("Mn",),
    "emoji sequences": ("So", "Sk"),
    "Chinese, Japanese, Korean": ("Lo",),
    "right to left, bidirectional controls": ("Lo", "Cf"),
    "zero width": ("Cf", "Mn"),
    "spaces": ("Zs", "Zl", "Cc"),
    "control characters": ("Cc",),
    "edges of the code space": ("Cn", "Co"),
    "numbers": ("Nd", "No", "Sc"),
    "casing": ("Lu", "Lt"),
    "any code points": ("Cn", "Co", "Lo"),
}
"""Unicode categories that most strings of ours have a character of."""


def test_every_proof_has_the_same_strings() -> None:
    """On every machine: what one proof found, another one looks at too. Changed strings are a change of the proof."""
    strings = hard_strings(3000, 0)
    digest = hashlib.sha256("\x00".join(strings).encode()).hexdigest()
    assert digest == "13a97a5f2a32b34c94e1ac0396ff9489240b637f837afca771466b9d1fa88262"


@pytest.mark.parametrize("name", CATEGORIES)
def test_strings_are_of_their_kind(name: str) -> None:
    """Most have a character of the category's; they are short but for long runs, and few are the same."""
    made = MADE[name]
    assert len(set(made)) > 100
    lengths = sorted(map(len, made))
    assert lengths[len(made) // 2] < 60 or name == "long runs"
    if name in KINDS:
        having = [text for text in made if any(unicodedata.category(each) in KINDS[name] for each in text)]
        assert len(having) > 0.5 * len(made)


def test_the_categories_take_turns() -> None:
    """Any number of strings has as many of each."""
    strings = hard_strings(2 * len(CATEGORIES), 5)
    random, makers = Random(5), list(CATEGORIES.values())
    assert list(strings) == [makers[at % len(makers)](random) for at in range(2 * len(CATEGORIES))]
