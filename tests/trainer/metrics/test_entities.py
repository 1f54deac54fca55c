"""Entity scores: figure for figure those of seqeval, whatever the tags."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.metrics.sequence_labeling import get_entities

from trainer.data.tags import to_bio
from trainer.metrics.entities import EntityScores, Score, entity_scores, spans_of

TAG = st.sampled_from(["O", "O", "B-person", "I-person", "B-creative-work", "I-creative-work", "I-_"])
TAGS = st.lists(TAG, max_size=12)
PAIRS = st.lists(st.lists(st.tuples(TAG, TAG), max_size=12), min_size=1, max_size=6)


def by_seqeval(expected: list[list[str]], answered: list[list[str]]) -> EntityScores:
    """seqeval's figures in our shape; it warns where it sets a figure to 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report: dict[str, dict[str, Any]] = classification_report(expected, answered, output_dict=True)
    for average in ("macro avg", "weighted avg"):
        report.pop(average, None)
    scores = {
        name: Score(*(float(row[key]) for key in ("precision", "recall", "f1-score")), int(row["support"]))
        for name, row in report.items()
    }
    return EntityScores(scores.pop("micro avg"), scores)


def assert_equal(ours: EntityScores, theirs: EntityScores) -> None:
    assert list(ours.per_type) == list(theirs.per_type)
    for our, their in [
        (ours.micro, theirs.micro),
        *((ours.per_type[name], theirs.per_type[name]) for name in ours.per_type),
    ]:
        assert (our.precision, our.recall, our.f1) == pytest.approx(
            (their.precision, their.recall, their.f1), abs=1e-12
        )
        assert our.support == their.support


@pytest.mark.slow
@given(PAIRS.filter(lambda pairs: any(tag != "O" for sentence in pairs for pair in sentence for tag in pair)))
@settings(deadline=None, max_examples=150)
def test_as_seqeval(pairs: list[list[tuple[str, str]]]) -> None:
    """All figures are seqeval's, for tags well-formed and not."""
    expected = [[wanted for wanted, _ in sentence] for sentence in pairs]
    answered = [[given for _, given in sentence] for sentence in pairs]
    assert_equal(entity_scores(expected, answered), by_seqeval(expected, answered))


@given(TAGS)
@settings(deadline=None)
def test_spans_as_seqeval(tags: list[str]) -> None:
    """The entities are seqeval's; its end is the last token, ours the one after it."""
    assert spans_of(tags) == [(name, start, last + 1) for name, start, last in get_entities(tags)]
    assert spans_of(to_bio(tags)) == spans_of(tags)


def test_figures() -> None:
    """Of three entities two are found, one of them with a wrong end; one that is none is answered."""
    expected = [["B-a", "I-a", "O", "B-b"], ["B-a", "O"]]
    answered = [["B-a", "O", "O", "B-b"], ["O", "I-b"]]
    scores = entity_scores(expected, answered)
    assert scores.micro == Score(precision=1 / 3, recall=1 / 3, f1=1 / 3, support=3)
    assert scores.per_type == {"a": Score(0.0, 0.0, 0.0, 2), "b": Score(0.5, 1.0, 2 / 3, 1)}


def test_stray_inside() -> None:
    """I- after nothing, or after another type, begins an entity."""
    assert spans_of(["I-a", "I-a", "I-b", "B-b", "O", "I-a"]) == [("a", 0, 2), ("b", 2, 3), ("b", 3, 4), ("a", 5, 6)]


def test_nothing_to_find() -> None:
    """Where there is no entity and none is answered, the figures are 0, as seqeval's are."""
    assert entity_scores([["O", "O"], []], [["O", "O"], []]) == EntityScores(Score(0.0, 0.0, 0.0, 0), {})


def test_unequal() -> None:
    """Tags that cannot be compared are refused with the sentence's number."""
    with pytest.raises(ValueError, match="1 sentences are answered, 2 expected"):
        entity_scores([["O"], ["O"]], [["O"]])
    with pytest.raises(ValueError, match="sentence 2: 1 tags are answered, 2 expected"):
        entity_scores([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match=r"tags\[1\]: 'E-a' is no BIO tag"):
        entity_scores([["B-a", "E-a"]], [["B-a", "I-a"]])
