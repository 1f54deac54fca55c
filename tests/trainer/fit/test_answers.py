"""Answers end to end: what went in comes out, in few bytes."""

from __future__ import annotations

import math

from trainer.fit.answers import PackedAnswers

GIVEN = [[{"label": "Größe", "score": 0.1 + 0.2}], [], 0.5, {"answer": "", "start": 0}, [0.25, -1e-300]]


def test_answers() -> None:
    """Each is read as it was, also from the end and as a slice; a score may be no number."""
    packed = PackedAnswers()
    packed.extend(GIVEN)
    packed.extend([[{"score": math.nan}]])
    assert len(packed) == 6
    assert list(packed)[:5] == packed[:5] == GIVEN
    assert packed[-6] == GIVEN[0]
    assert math.isnan(packed[5][0]["score"])


def test_bytes_an_answer() -> None:
    """A label and its score take less than 70 bytes."""
    packed = PackedAnswers()
    packed.extend([{"label": "track_order", "score": at / 997}] for at in range(1000))
    assert packed.nbytes / len(packed) < 70
