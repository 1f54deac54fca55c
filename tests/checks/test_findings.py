"""Single findings, on rows made for them."""

from __future__ import annotations

import numpy as np
import pytest

from checks.finding import Row
from checks.findings.entities import find_odd_mentions
from checks.findings.label_errors import find_numbers, find_single
from checks.findings.labels import _may_be_one
from checks.findings.texts import encoding_problem


def tagged(number: int, text: str, *entities: tuple[str, str]) -> Row:
    """A row whose words in ``entities`` have a type."""
    words, start = list[list[int]](), 0
    for word in text.split():
        words.append([start, start + len(word)])
        start += len(word) + 1
    kinds = dict(entities)
    tags = [f"B-{kinds[word]}" if word in kinds else "O" for word in text.split()]
    return Row("train", "rows.conll", number, text, {"words": words, "tags": tags})


def test_a_mention_unlike_the_others() -> None:
    """A place that one row leaves out or calls a person; words that are seldom an entity are let be."""
    rows = [tagged(at, f"she went to Oslo on day {at}", ("Oslo", "LOC")) for at in range(1, 10)]
    rows += [tagged(10, "Oslo is far"), tagged(11, "will Oslo win", ("Oslo", "PER"))]
    rows += [tagged(12, "a May day", ("May", "PER")), *(tagged(at, "in May again") for at in range(13, 20))]
    found = find_odd_mentions(rows)
    assert {(each.rows[0].number, each.note) for each in found.examples} == {
        (10, "'Oslo' is no entity; LOC in 9 of 11"),
        (11, "'Oslo' is PER; LOC in 9 of 11"),
    }


def test_a_label_of_few_rows_hides_no_wrong_label() -> None:
    """Such a label can be learned from no other fold; its row is not judged, and the wrong one is found."""
    rng = np.random.default_rng(0)
    centres, numbers = rng.normal(size=(3, 8)), [*([0] * 30), 2, *([1] * 30)]
    vectors = np.array([centres[number] for number in numbers], dtype=np.float32)
    vectors += rng.normal(scale=0.1, size=vectors.shape).astype(np.float32)
    numbers[5], texts = 1, [f"text {number}" for number in range(len(numbers))]
    assert [(each.at, each.suggested) for each in find_single(vectors, texts, numbers)] == [(5, 0)]


def test_wrong_numbers() -> None:
    """A number far from what its text says is found, and what it may be."""
    vectors = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    numbers = (vectors @ np.array([1.0, -2.0, 0.5, 0.0]) + 10).tolist()
    numbers[7] += 30
    found = find_numbers(vectors, numbers)
    assert found[0].at == 7
    assert found[0].suggested == pytest.approx(numbers[7] - 30, abs=1.5)


@pytest.mark.parametrize(
    ("pair", "same"),
    [
        (("Refund", "refund "), True),
        (("delivery", "delivrey"), True),
        (("card_not_working", "card_not_workng"), True),
        (("level_1", "level_2"), False),
        (("male", "female"), False),
        (("top_up_failed", "top_up_reverted"), False),
    ],
)
def test_labels_that_may_be_one(pair: tuple[str, str], same: bool) -> None:
    """Case, spaces, a slip of the keys; never another number, nor another word."""
    assert _may_be_one(*pair) == same


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("caf\u00c3\u00a9 au lait", "mojibake"),
        ("caf\ufffd", "U+FFFD"),
        ("a\x00b", "U+0000"),
        ("p\u0430ypal", "mixes Cyrillic and Latin"),
        ("café, 北京 and Москва, 5 µm, naïve – “so” 🎉", ""),
    ],
)
def test_encodings(text: str, problem: str) -> None:
    """Signs of a wrong decoding are told; other languages, signs and emoji are none."""
    found = encoding_problem(text)
    assert problem in found
    assert bool(found) == bool(problem)
