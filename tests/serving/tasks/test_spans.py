"""Places in a text: what is cut off, what is put together, whatever the tokenizer counts to a word."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.tasks.spans import group_words, merge_windows, trim, visible_tokens
from serving.tasks.token_classification import TokenClassification, TokenClassificationSettings
from tests.serving.tasks.hand_made import KINDS, LIMITS, encode, tokenizer_of

TASK = TokenClassification(["O", "B-X", "I-X"], TokenClassificationSettings(stride=0), LIMITS)


def words(kind: str, text: str) -> list[str]:
    """The words that a tokenizer's pieces of a text make up, without white space."""
    windows = encode(tokenizer_of(kind, TASK), TASK, text).windows
    tokens = visible_tokens(text, merge_windows(windows, 0))
    places = [trim(text, word[0].start, word[-1].end) for word in group_words(text, tokens)]
    return [text[start:end] for start, end in places if start < end]


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("a word", (2, 6), (2, 6)),
        ("a word ", (1, 7), (2, 6)),
        ("\u3000王 ", (0, 3), (1, 2)),
        ("a  b", (1, 3), (1, 1)),
        ("a", (1, 1), (1, 1)),
        ("a\u00a0", (0, 2), (0, 1)),
    ],
)
def test_trimmed(text: str, place: tuple[int, int], expected: tuple[int, int]) -> None:
    """White space of any kind is cut off at both ends; where there is nothing else the place is empty."""
    assert trim(text, *place) == expected


@given(st.text(), st.data())
def test_trimmed_property(text: str, data: st.DataObject) -> None:
    """What is left is the stripped text, and lies within the place."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    left, right = trim(text, start, end)
    assert start <= left <= right <= end
    assert text[left:right] == text[start:end].strip()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("she lived in London", ["she", "lived", "in", "London"]),
        ("  two   spaces ", ["two", "spaces"]),
        ("a\nline\tbreak", ["a", "line", "break"]),
        ("in Oslo, (Berlin).", ["in", "Oslo", ",", "(", "Berlin", ")", "."]),
        ("“Graz” or Köln‑Süd!", ["“", "Graz", "”", "or", "Köln", "‑", "Süd", "!"]),
        ("من القاهرة إلى بيروت", ["من", "القاهرة", "إلى", "بيروت"]),
        ("שלום Ada מירושלים", ["שלום", "Ada", "מירושלים"]),
        ("Jose\u0301 O\u0308mer Zoe\u0308", ["Jose\u0301", "O\u0308mer", "Zoe\u0308"]),
        ("नमस्ते दिल्ली", ["नमस्ते", "दिल्ली"]),
        ("Zo\u00adë", ["Zo\u00adë"]),
    ],
    ids=range(10),
)
def test_words(kind: str, text: str, expected: list[str]) -> None:
    """Words are the same whatever the tokenizer calls one: no punctuation in them, no mark without its letter."""
    assert words(kind, text) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_words_without_spaces(kind: str) -> None:
    """Where no space parts words, each piece is one: a sentence never becomes a word, nor does a name's neighbour."""
    found = words(kind, "王芳住在北京。Ada在 Graz 工作")
    assert "".join(found) == "王芳住在北京。Ada在Graz工作"
    assert {"Ada", "Graz", "。", "在"} <= set(found)
    assert max(len(word) for word in found if not word.isascii()) <= 2, "a piece of the vocabulary at most"


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(text=st.text(st.sampled_from("aZé e\u0301王カ゚ا\u064b\u200dד👩🏽\u200b\u00ad\n\u3000.'$½ﬁ")))
def test_words_property(kind: str, text: str) -> None:
    """Words follow each other without overlap, lose no token, and end with the marks of their letters."""
    tokens = visible_tokens(text, merge_windows(encode(tokenizer_of(kind, TASK), TASK, text).windows, 0))
    found = group_words(text, tokens)
    assert [token for word in found for token in word] == tokens
    places = [(word[0].start, word[-1].end) for word in found]
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    assert not any(text[end : end + 1] == "\u0301" for _, end in places)
