"""serving's tokenizer and transformers' own cut every text into the same tokens."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from export.proof.answers import hard_strings
from export.proof.answers.hard_strings import CATEGORIES
from export.proof.answers.reference import ReferenceAnswers
from export.proof.checks.tokenizer import compare_tokenizers
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from serving.tasks.base import Encoded
from trainer.run.run import Run


@pytest.fixture(scope="module")
def predictor(tiny_bundle: Path) -> Predictor:
    return Predictor(Bundle.open(tiny_bundle))


@pytest.mark.slow
def test_ten_thousand_strings_are_the_same_tokens(
    reference: ReferenceAnswers, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All categories, as every proof generates them."""
    monkeypatch.setattr("export.proof.answers.hard_strings.STRINGS", 10_000)
    reference.__dict__.pop("strings", None)
    comparison = compare_tokenizers(reference, predictor)
    assert (comparison.compared, comparison.different) == (10_000, 0)
    reference.__dict__.pop("strings", None)


@pytest.fixture(scope="module")
def sides(tiny_run: Run, tiny_bundle: Path) -> tuple[AutoTokenizer, Predictor]:
    return AutoTokenizer.from_pretrained(tiny_run.checkpoint), Predictor(Bundle.open(tiny_bundle))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
def test_any_text_is_the_same_tokens(sides: tuple[AutoTokenizer, Predictor], text: str) -> None:
    """Any text that hypothesis generates."""
    tokenizer, predictor = sides
    assert predictor.encode([text])[0].windows[0].ids == tokenizer(text, truncation=True, max_length=64)["input_ids"]


def test_the_strings_are_the_same_everywhere() -> None:
    """A seed gives the same strings again, and another seed others."""
    first = hard_strings.hard_strings.__wrapped__(600, 0)
    assert first == hard_strings.hard_strings.__wrapped__(600, 0)
    assert first != hard_strings.hard_strings.__wrapped__(600, 1)


def test_the_strings_are_many_and_can_be_sent() -> None:
    """Every category gives distinct texts that UTF-8 can hold."""
    made = hard_strings.hard_strings(150 * len(CATEGORIES), 0)
    assert all(text and text.encode() for text in made)
    for at, name in enumerate(CATEGORIES):
        assert len(set(made[at :: len(CATEGORIES)])) > 30, name


def test_the_first_differences_are_shown() -> None:
    """Five of them, as ASCII, with the first 32 tokens of the first window of either side."""

    def window(first: int) -> Any:
        return SimpleNamespace(ids=list(range(first, first + 40)))

    texts = [f"é{at}" + "x" * 300 for at in range(300)]
    reference: Any = SimpleNamespace(strings=[Encoded(text, [window(0), window(9)]) for text in texts])
    predictor: Any = SimpleNamespace(
        task=object(),
        encode=lambda items: [Encoded(item, [window(int("9" in item[:4])), window(9)]) for item in items],
    )
    found = compare_tokenizers(reference, predictor)
    wrong = [text for text in texts if "9" in text[:4]]
    assert (found.strings, found.compared, found.different) == (hard_strings.STRINGS, 300, len(wrong))
    assert (found.seed, found.categories) == (hard_strings.SEED, list(CATEGORIES))
    assert [example["inputs"] for example in found.examples] == [ascii(text)[:200] for text in wrong[:5]]
    assert {(*map(tuple, each["reference"]), *map(tuple, each["served"])) for each in found.examples} == {
        (tuple(range(32)), tuple(range(1, 33)))
    }
