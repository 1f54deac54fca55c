"""Which of two labels means yes."""

from __future__ import annotations

import pytest

from serving.tasks.positive import positive_label


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (["0", "1"], 1),
        (["1", "0"], 0),
        (["False", "True"], 1),
        (["no", "yes"], 1),
        (["not_spam", "spam"], 1),
        (["spam", "Not Spam"], 0),
        (["irrelevant", "relevant"], 1),
        (["relevant", "un-related"], None),
        (["ham", "spam"], None),
        (["negative", "positive"], None),
        (["_", "-"], None),
        (["0", "1", "2"], None),
        ([], None),
    ],
)
def test_positive_label(labels: list[str], wanted: int | None) -> None:
    """Only where the labels themselves say so: another guess could turn an answer round."""
    assert positive_label(labels) == wanted
