"""Inputs of text: which are accepted, and what a caller is told of the others."""

from __future__ import annotations

from typing import Any
from unicodedata import normalize

import pytest

from serving.bundle.manifest import Limits
from serving.errors import InputError, InputTooLarge
from serving.tasks.inputs import SPELLED_OUT, check_object, check_segments, check_text

LIMITS = Limits()
PAIR = {"text": "a man plays", "text_pair": "somebody plays"}


@pytest.mark.parametrize(
    "text", ["a", "?", " padded ", "я", "我的卡", "👍🏽", "\x00", "x" * 100_000, "é" * 100_000, "\ufeff", "\u200b"]
)
def test_check_accepts(text: str) -> None:
    """Any text with something in it is given back as it is."""
    assert check_text(text, "inputs", LIMITS) is text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "null"),
        (True, "a boolean"),
        (3, "a number"),
        (2.5, "a number"),
        ([], "a list"),
        (["a"], "a list"),
        ({}, "an object"),
        (b"bytes", "bytes"),
    ],
)
def test_check_not_a_text(value: Any, found: str) -> None:
    """Anything but a text is refused by its JSON name, and the field is named."""
    with pytest.raises(InputError, match=rf"^inputs\[2\] must be a text, found {found}$") as caught:
        check_text(value, "inputs[2]", LIMITS)
    assert caught.value.field == "inputs[2]"


@pytest.mark.parametrize("text", ["", " ", "\n\t\r ", "\u00a0\u2003\u3000", "\x1f\x85"])
def test_check_empty(text: str) -> None:
    """A text of nothing but white space is refused."""
    with pytest.raises(InputError, match=r"^inputs is empty; a text needs at least one visible character$"):
        check_text(text, "inputs", LIMITS)


@pytest.mark.parametrize("text", ["\ud800", "before \udfff after", "é\udc00"])
def test_check_surrogate(text: str) -> None:
    """A lone surrogate, which JSON can escape and UTF-8 cannot hold, is refused."""
    with pytest.raises(InputError, match=r"^inputs holds a lone surrogate"):
        check_text(text, "inputs", LIMITS)


def test_check_too_long() -> None:
    """A text past the limit is refused with both numbers, and is told from other mistakes."""
    with pytest.raises(InputTooLarge, match=r"^inputs has 100,001 characters; at most 100,000 are accepted$"):
        check_text("x" * 100_001, "inputs", LIMITS)


def test_ligatures_that_are_spelled_out() -> None:
    """Eighteen letters each for most tokenizers: a text of them alone would be two million letters."""
    for text in ("a \ufdfa b", "\ufdfa" * 10_000, "\ufdfb" * 25_000, "ﬁ㌀" * 50_000):
        assert check_text(text, "inputs", LIMITS) == text
    with pytest.raises(InputTooLarge, match=r"^inputs\[2\] has 1,800,000 characters once its ligatures are"):
        check_text("\ufdfa" * 100_000, "inputs[2]", LIMITS)


@pytest.mark.slow
def test_every_ligature_of_many_letters() -> None:
    """No other character becomes more than seven letters."""
    characters = (chr(code) for code in range(0x110000))
    longest = {each: len(normalize("NFKD", each)) for each in characters}
    assert {each: letters for each, letters in longest.items() if letters > 7} == SPELLED_OUT


def test_pair() -> None:
    """A pair is an object of its two texts, in either order of the keys."""
    assert check_segments(PAIR, "inputs", LIMITS, pair=True) == ("a man plays", "somebody plays")
    assert check_segments(dict(reversed(PAIR.items())), "inputs", LIMITS, pair=True) == tuple(PAIR.values())


def test_lone_text_in_an_object() -> None:
    """A model of lone texts takes an object of one text too."""
    assert check_segments({"text": "a"}, "inputs", LIMITS, pair=False) == "a"
    assert check_segments("a", "inputs", LIMITS, pair=False) == "a"


@pytest.mark.parametrize("missing", ["text", "text_pair"])
def test_missing_side(missing: str) -> None:
    """A pair with one side missing names that side, and shows what a pair is."""
    value = {key: text for key, text in PAIR.items() if key != missing}
    message = rf'^inputs\[1\]\.{missing} is missing; give {{"text": "…", "text_pair": "…"}}$'
    with pytest.raises(InputError, match=message) as caught:
        check_segments(value, "inputs[1]", LIMITS, pair=True)
    assert caught.value.field == f"inputs[1].{missing}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a text", r'^inputs must be an object {"text": "…", "text_pair": "…"}, found a text$'),
        (["a", "b"], r"^inputs must be an object .* found a list$"),
        (None, r"^inputs must be an object .* found null$"),
        ({**PAIR, "label": 1}, r"^inputs: unknown key 'label'; give {\"text\""),
        ({**PAIR, "\ud800": 1}, r"^inputs: unknown key '\\ud800'"),
        ({**PAIR, "text_pair": " "}, r"^inputs\.text_pair is empty"),
        ({**PAIR, "text": None}, r"^inputs\.text must be a text, found null$"),
        ({**PAIR, "text_pair": ["b"]}, r"^inputs\.text_pair must be a text, found a list$"),
        ({**PAIR, "text_pair": "\ud800"}, r"^inputs\.text_pair holds a lone surrogate"),
    ],
    ids=range(9),
)
def test_bad_pair(value: Any, message: str) -> None:
    """What is no pair of texts is told which side is wrong and what was found there."""
    with pytest.raises(InputError, match=message) as caught:
        check_segments(value, "inputs", LIMITS, pair=True)
    assert caught.value.field is not None
    assert str(caught.value).encode()


def test_a_side_too_long() -> None:
    """Each side has the limit to itself."""
    check_segments({"text": "x" * 20, "text_pair": "y" * 20}, "inputs", Limits(max_characters=20), pair=True)
    with pytest.raises(InputTooLarge, match=r"^inputs\.text_pair has 21 characters; at most 20") as caught:
        check_segments({"text": "x", "text_pair": "y" * 21}, "inputs", Limits(max_characters=20), pair=True)
    assert caught.value.field == "inputs.text_pair"


def test_order_of_keys() -> None:
    """Texts come in the order of the keys asked for, not of the object's."""
    assert check_object({"b": "2", "a": "1"}, "row", ("a", "b"), LIMITS) == ("1", "2")
