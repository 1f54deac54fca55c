"""Long texts over windows: a text's logits are the mean or the largest of its windows', before all else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from serving.tasks.base import Encoded, Logits
from serving.tasks.multi_label_classification import MultiLabelClassification, MultiLabelSettings
from serving.tasks.regression import Regression, RegressionSettings
from serving.tasks.text_classification import (
    TextClassification,
    TextClassificationParameters,
    TextClassificationSettings,
)
from serving.tasks.windows import Windows
from tests.serving.tasks.hand_made import LIMITS, one_row

MEAN = Windows(stride=2, max_windows=8)
MAX = Windows(stride=2, max_windows=8, aggregation="max")


def windows_of(*rows: tuple[float, ...]) -> tuple[Encoded, list[Logits]]:
    """A text with these logits of its windows."""
    encoded, _ = one_row(*rows[0])
    return Encoded(encoded.item, encoded.windows * len(rows)), [np.array(row, dtype=np.float32) for row in rows]


def classifier(windows: Windows, **settings: Any) -> TextClassification:
    return TextClassification("abc", TextClassificationSettings(windows=windows, **settings), LIMITS)


def test_labels_by_the_mean_of_logits() -> None:
    """Not of probabilities: a sure window outweighs others that are unsure."""
    task, rows = classifier(MEAN, temperature=2.0), ((0.0, 1.0, 0.0), (9.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    encoded, logits = windows_of(*rows)
    assert task.decode(encoded, logits) == task.decode(*one_row(3.0, 2 / 3, 0.0))
    plain = TextClassificationParameters(function_to_apply="none")
    assert [each["score"] for each in task.decode(encoded, logits, plain)] == pytest.approx([3.0, 2 / 3, 0.0])


def test_labels_by_the_largest_logit() -> None:
    """Of each label for itself, in whatever window."""
    task = MultiLabelClassification("abc", MultiLabelSettings(windows=MAX), LIMITS)
    encoded, logits = windows_of((3.0, -1.0, -2.0), (-3.0, -1.0, 2.0))
    assert task.decode(encoded, logits) == task.decode(*one_row(3.0, -1.0, 2.0))
    assert task.predicted_labels(task.decode(encoded, logits)) == ["a", "c"]


def test_a_number_in_the_datas_unit() -> None:
    """The standard score is merged, and the unit given afterwards."""
    task = Regression(["value"], RegressionSettings(windows=MEAN, mean=100.0, std=8.0), LIMITS)
    assert task.decode(*windows_of((0.5,), (1.5,)))[0]["score"] == 108.0


def test_a_lone_window_is_as_it_is() -> None:
    """To the last bit: short texts answer as those of a model that truncates."""
    task, row = classifier(MEAN), (0.1, 0.2, 0.3)
    plain = TextClassification("abc", TextClassificationSettings(), LIMITS)
    assert task.decode(*windows_of(row)) == plain.decode(*one_row(*row))


def test_the_order_of_windows_does_not_matter() -> None:
    """They may be read from either end."""
    rows = ((1e4, 0.0, -3.0), (0.1, 7.0, 2.0), (-1e4, 1.0, 2.5))
    for windows in (MEAN, MAX):
        task = classifier(windows)
        assert task.decode(*windows_of(*rows)) == task.decode(*windows_of(*rows[::-1]))


def test_tokens_that_are_read() -> None:
    """Of windows of 10 tokens, 8 of them the text's, that share 2 with the next."""
    assert classifier(MEAN).most_tokens(10, special=2) == 2 + 8 + 7 * 6
    assert TextClassification("ab", TextClassificationSettings(), LIMITS).most_tokens(10, special=2) == 10


def test_settings_say_it_only_where_it_is_so() -> None:
    """A bundle that truncates has no word of windows; one of pairs cannot have any."""
    assert "windows" not in TextClassificationSettings().model_dump()
    assert classifier(MAX).settings.model_dump()["windows"] == {"stride": 2, "max_windows": 8, "aggregation": "max"}
    with pytest.raises(ValidationError, match="windows: are read of a single text"):
        TextClassificationSettings(pair=True, windows=MEAN)
