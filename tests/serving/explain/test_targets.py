"""What an explanation explains: the answer itself, wherever the tokenizer has its tokens."""

from __future__ import annotations

import pytest

from serving.errors import InputError
from serving.explain.parameters import ExplainParameters
from serving.explain.targets import target_of
from serving.tasks.regression import Regression, RegressionSettings
from tests.serving.tasks.hand_made import KINDS, LIMITS, encode, one_row, tokenizer_of
from tests.serving.tasks.test_token_classification import TASK, model_of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["Ömer", "Tel Aviv", "Aviv"])
def test_an_entity_at_any_place(kind: str, name: str) -> None:
    """Its target is read at its own tokens, also where a token takes in the space before a word."""
    text = "Ömer flew to Tel Aviv"
    start = text.index(name)
    encoded = encode(tokenizer_of(kind, TASK), TASK, text)
    logits = model_of({(start, start + len(name)): "LOC"}, encoded)
    target = target_of(TASK, encoded, logits, ExplainParameters())
    assert target.description == {"label": "LOC", "start": start, "end": start + len(name)}
    assert target.read(logits[0]) == 8


def test_a_number_through_a_sigmoid() -> None:
    """As a probability it is the answered score; as a logit, the graph's output, which adds up."""
    task = Regression(["relevance"], RegressionSettings(function_to_apply="sigmoid"), LIMITS)
    encoded, logits = one_row(1.5)
    ((answered,),) = [task.decode(encoded, logits)]
    score = target_of(task, encoded, logits, ExplainParameters(output="probability"))
    assert score.read(logits[0]) == answered["score"] == pytest.approx(0.817574)
    assert target_of(task, encoded, logits, ExplainParameters()).read(logits[0]) == 1.5


def test_a_number_is_no_probability() -> None:
    """Without a sigmoid there is none to explain."""
    task = Regression(["relatedness"], RegressionSettings(), LIMITS)
    with pytest.raises(InputError, match="a regression's number is none"):
        target_of(task, *one_row(1.5), ExplainParameters(output="probability"))
