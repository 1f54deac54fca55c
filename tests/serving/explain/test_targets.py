"""What an explanation explains: the answer itself, wherever the tokenizer has its tokens."""

from __future__ import annotations

import pytest

from serving.explain.parameters import ExplainParameters
from serving.explain.targets import target_of
from tests.serving.tasks.hand_made import KINDS, encode, tokenizer_of
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
