"""Exact match and F1 of answers: SQuAD's rules, in English, German and Chinese alike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.metrics.squad import exact_match, f1, words_of

TEXT = st.text(st.sampled_from("aAnthe bß.,$“黑豹かกู้٠ \u3000\u0301"), max_size=15)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The  Denver Broncos!", ["denver", "broncos"]),
        ("an apple a day, Anna", ["apple", "day", "anna"]),
        ("U.S. two-time $5", ["us", "twotime", "5"]),
        ("“Super–Bowl” …", ["superbowl"]),
        ("Die Straße an der Ägäis", ["die", "straße", "der", "ägäis"]),
        ("½ café", ["½", "café"]),
        ("308分，NFL", ["308", "分", "nfl"]),
        ("黑豹队", ["黑", "豹", "队"]),
        ("卡万·肖特", ["卡", "万", "肖", "特"]),
        ("人々〇𠀀", ["人", "々", "〇", "𠀀"]),
        ("ラーメン", ["ラ", "ー", "メ", "ン"]),
        ("第A组B", ["第", "a", "组", "b"]),
        ("กู้", ["กู้"]),
        ("서울 대학교", ["서울", "대학교"]),
        ("دار السلام", ["دار", "السلام"]),
        ("हिन्दी", ["हिन्दी"]),
        ("the", []),
        ("。！", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    """Case, punctuation, English articles and white space go; a script without spaces is read by characters."""
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "overlap"),
    [
        ("the Broncos.", ["Denver", "Broncos"], 1.0, 1.0),
        ("Denver Broncos", ["the Denver team"], 0.0, 0.5),
        ("new new york", ["new york"], 0.0, 0.8),
        ("in 1990", ["1990", "in the year 1990"], 0.0, 0.8),
        ("Carolina", ["Denver"], 0.0, 0.0),
        ("der Bundestag", ["Bundestag"], 0.0, 2 / 3),
        ("黑豹队", ["黑豹 队"], 1.0, 1.0),
        ("黑豹", ["黑豹队"], 0.0, 0.8),
        ("136 次", ["136"], 0.0, 2 / 3),
    ],
)
def test_scores(answer: str, golds: list[str], exact: float, overlap: float) -> None:
    """The best gold answer counts, and F1 weighs the words that both share."""
    assert exact_match(answer, golds) == exact
    assert f1(answer, golds) == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("answer", "golds", "score"),
    [("", [], 1.0), ("The!", [], 1.0), ("", ["the", "!"], 1.0), ("Denver", [], 0.0), ("", ["Denver"], 0.0),
     ("", ["the", "Denver"], 0.0)],
)  # fmt: skip
def test_no_answer(answer: str, golds: list[str], score: float) -> None:
    """No answer is right where there is none, and wrong where there is one."""
    assert exact_match(answer, golds) == f1(answer, golds) == score


@given(TEXT, st.lists(TEXT, max_size=3))
@settings(deadline=None)
def test_bounds(answer: str, golds: list[str]) -> None:
    """An exact match has an F1 of 1, another answer less or the same words in other order; a gold is its own match."""
    exact, overlap = exact_match(answer, golds), f1(answer, golds)
    assert 0.0 <= exact <= overlap <= 1.0
    same_bag = any(sorted(words_of(answer)) == sorted(words_of(gold)) for gold in golds) or not words_of(answer)
    assert overlap < 1.0 or same_bag
    assert exact_match(answer, [answer]) == f1(answer, [answer]) == 1.0
