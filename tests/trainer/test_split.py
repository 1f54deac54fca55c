"""Holding out a fraction: exact, even over labels, seeded, the same text never on both sides."""

from __future__ import annotations

from collections import Counter

import pytest

from serving.errors import InputError
from trainer.rows import Rows, plain
from trainer.split import hold_out


def rows(*pairs: tuple[str, str]) -> Rows:
    return Rows("x", [text for text, _ in pairs], [label for _, label in pairs], list(range(1, len(pairs) + 1)))


MANY = rows(*((f"{label}{n}", label) for label, count in (("a", 70), ("b", 25), ("c", 5)) for n in range(count)))


def test_even() -> None:
    """Each label gives its share, and the shares add up to the fraction of all rows."""
    stay, held = hold_out(MANY, 0.1, 0, "test")
    assert len(held) == 10
    assert held.counts()["a"] == 7
    assert sorted(stay.numbers + held.numbers) == MANY.numbers
    assert stay.numbers == sorted(stay.numbers)


def test_seeded() -> None:
    """The same seed holds out the same rows, another seed or another name others."""
    first = hold_out(MANY, 0.2, 0, "test")
    assert hold_out(MANY, 0.2, 0, "test") == first
    assert hold_out(MANY, 0.2, 1, "test") != first
    assert hold_out(MANY, 0.2, 0, "validation") != first


@pytest.mark.parametrize("seed", range(5))
def test_same_text_together(seed: int) -> None:
    """Texts that differ in case and spacing only stay on one side."""
    variants = rows(*((text, "ab"[n % 2]) for n in range(20) for text in (f"Text {n}", f"text  {n}", f"TEXT {n} ")))
    stay, held = hold_out(variants, 0.3, seed, "test")
    assert len(held) == 18
    assert not {plain(text) for text in stay.texts} & {plain(text) for text in held.texts}


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_every_label_stays(fraction: float) -> None:
    """However large the fraction, no label loses its last training row."""
    few = rows(("one", "rare"), *((f"t{n}", "often") for n in range(99)))
    stay, _ = hold_out(few, fraction, 0, "test")
    assert Counter(stay.labels)["rare"] == 1
    assert stay.counts()["often"] >= 1


def test_too_few() -> None:
    """A fraction that holds out nothing is refused with what to do."""
    with pytest.raises(InputError, match=r"data\.validation: 0\.1 of 2 rows holds out none; give a larger fraction"):
        hold_out(rows(("x", "a"), ("y", "b")), 0.1, 0, "validation")
