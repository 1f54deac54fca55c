"""Marked words: bold for the answer, slanted against it, and no character of the text lost."""

from __future__ import annotations

import html

from trainer.run.report.marks import mark_words


def test_marks() -> None:
    """Words are found in their order; weak ones, and those that the text no longer has, stay unmarked."""
    shares = {"not": -0.8, "a": 0.1, "good": 1.0, "gone": 1.0}
    words = [{"word": word, "share": share} for word, share in shares.items()]
    assert mark_words("not a <good> one", words, html.escape) == "*not* a &lt;**good**&gt; one"


def test_neighbours_share_a_mark() -> None:
    """As Markdown reads no mark that ends where another begins."""
    words = [{"word": word, "share": 1.0} for word in ("my", "PIN", "?")]
    assert mark_words("is my PIN?", words, str) == "is **my PIN?**"


def test_repeated_words() -> None:
    """The second of two equal words is the second one."""
    words = [{"word": "no", "share": 0.0}, {"word": "no", "share": 1.0}]
    assert mark_words("no, no", words, str) == "no, **no**"
