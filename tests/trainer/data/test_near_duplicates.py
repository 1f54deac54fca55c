"""Nearly equal texts are found whatever case, punctuation or a typo hides; others are not, however many there are."""

from __future__ import annotations

from collections import Counter

import pytest

from trainer.data import near_duplicates
from trainer.data.near_duplicates import NearDuplicates, sketch

KNOWN = "How do I locate my new card, please?"
ALIKE = {
    "how do i locate my new card please": 1.0,
    "HOW DO I LOCATE  MY NEW CARD!!": 0.0,  # a word less
    "How do I locate my new crad, please?": 0.96,
    "How do I locate my new cards, please?": 0.98,
}
UNLIKE = {
    "good film 👍": "good film 👎",
    "यह किताब है": "यह कीताब है",
    "I was charged for the order of Monday": "I was charged for the order on Sunday",
    "!!!": "???",
    "the same beginning " * 200 + "one end": "the same beginning " * 300 + "another end",
}


@pytest.mark.parametrize("number", range(len(ALIKE)))
def test_case_punctuation_and_a_typo(number: int) -> None:
    """A text with another spelling is as similar as its characters; below 95 % it is another text."""
    text, similarity = list(ALIKE.items())[number]
    index = NearDuplicates()
    index.add(sketch("Where is my refund?"))
    index.add(sketch(KNOWN))
    match = index.find(sketch(text))
    assert (match is not None) == bool(similarity)
    if match:
        assert (match.at, match.similarity) == (1, pytest.approx(similarity, abs=0.02))


@pytest.mark.parametrize("number", range(len(UNLIKE)))
def test_what_is_said_otherwise_is_no_duplicate(number: int) -> None:
    """Emoji, vowel signs, words, and ends of long texts tell texts apart."""
    text, other = list(UNLIKE.items())[number]
    index = NearDuplicates()
    index.add(sketch(text))
    match = index.find(sketch(other))
    assert match is None or match.similarity < 1.0


def test_thousands_of_one_pattern_take_no_square_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2,000 rows that differ in a number, each is compared with a bucket's texts, not with all before it."""
    compared: list[str] = []
    similarity = near_duplicates._similarity
    monkeypatch.setattr(near_duplicates, "_similarity", lambda *both: compared.append(both[0]) or similarity(*both))
    index = NearDuplicates()
    for number in range(2000):
        index.add(sketch(f"parcel {number} has not arrived at my door yet"))
    most = near_duplicates._BANDS * near_duplicates._MOST_IN_BUCKET
    assert len(compared) > 2000
    assert max(Counter(compared).values()) <= most < 2000
    assert index.find(sketch("Parcel 7 has not arrived at my door, yet")) is not None
