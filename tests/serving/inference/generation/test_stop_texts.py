"""Stop texts are found in pieces as in the whole text, and cost what the text costs."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from serving.inference.generation.stop_texts import StopTexts

TEXTS = st.text("ab", max_size=30)


@given(stops=st.lists(st.text("ab", min_size=1, max_size=8), max_size=4), pieces=st.lists(TEXTS, max_size=6))
def test_what_may_become_a_stop_text(stops: list[str], pieces: list[str]) -> None:
    """After each piece: the longest end that begins a stop text, as looked for in the whole text."""
    texts, whole = StopTexts(stops), ""
    matched = texts.begin
    for piece in pieces:
        whole += piece
        if any(stop in whole for stop in stops):
            assert texts.find(whole) == min(whole.index(stop) for stop in stops if stop in whole)
            return
        assert texts.find(whole) is None
        matched = texts.match(matched, piece)
        expected = [max(size for size in range(len(stop)) if whole.endswith(stop[:size])) for stop in stops]
        assert list(matched) == expected


def test_linear() -> None:
    """A hundred thousand characters that nearly are a stop text of 50,000, one by one: looking at each end would take
    minutes."""
    begun = time.thread_time()
    texts = StopTexts(["a" * 50_000 + "b"])
    matched = texts.begin
    for _ in range(100_000):
        matched = texts.match(matched, "a")
    assert matched == (50_000,)
    assert time.thread_time() - begun < 10
