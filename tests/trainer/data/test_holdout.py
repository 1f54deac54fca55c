"""Holding out a fraction: exact, even over labels, seeded, the same text never on both sides."""

from __future__ import annotations

from collections import Counter

import pytest

from serving.errors import InputError
from tests.trainer.conftest import rows_of
from trainer.data.holdout import hold_out
from trainer.data.rows import Rows, normalize


def split(rows: Rows, fraction: float, seed: int, name: str) -> tuple[Rows, Rows]:
    """As a task of single labels splits."""
    return hold_out(rows, rows.targets, fraction, seed, name)


MANY = rows_of(*((f"{label}{n}", label) for label, count in (("a", 70), ("b", 25), ("c", 5)) for n in range(count)))


def test_even() -> None:
    """Each label gives its share, and the shares add up to the fraction of all rows."""
    stay, held = split(MANY, 0.1, 0, "test")
    assert len(held) == 10
    assert Counter(held.targets)["a"] == 7
    assert sorted(stay.numbers + held.numbers) == MANY.numbers
    assert stay.numbers == sorted(stay.numbers)


def test_seeded() -> None:
    """The same seed holds out the same rows, another seed or another name others."""
    first = split(MANY, 0.2, 0, "test")
    assert split(MANY, 0.2, 0, "test") == first
    assert split(MANY, 0.2, 1, "test") != first
    assert split(MANY, 0.2, 0, "validation") != first


@pytest.mark.parametrize("seed", range(5))
def test_same_text_together(seed: int) -> None:
    """Texts that differ in case and spacing only stay on one side."""
    variants = rows_of(*((text, "ab"[n % 2]) for n in range(20) for text in (f"Text {n}", f"text  {n}", f"TEXT {n} ")))
    stay, held = split(variants, 0.3, seed, "test")
    assert len(held) == 18
    assert not {normalize(text) for text in stay.inputs} & {normalize(text) for text in held.inputs}


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_every_label_stays(fraction: float) -> None:
    """However large the fraction, no label loses its last training row."""
    few = rows_of(("one", "rare"), *((f"t{n}", "often") for n in range(99)))
    stay, _ = split(few, fraction, 0, "test")
    assert Counter(stay.targets)["rare"] == 1
    assert Counter(stay.targets)["often"] >= 1


def test_too_few() -> None:
    """A fraction that holds out nothing is refused with what to do."""
    with pytest.raises(InputError, match=r"data\.validation: 0\.1 of 2 rows holds out none; give a larger fraction"):
        split(rows_of(("x", "a"), ("y", "b")), 0.1, 0, "validation")


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_never_split(seed: int) -> None:
    """Rows of one group, such as one article, are on one side whatever their texts; half a group is never taken."""
    many = rows_of(*((f"question {n}", "") for n in range(60)))
    grouped = Rows(many.name, many.inputs, many.targets, many.numbers, [f"article {n % 7}" for n in range(60)])
    stay, held = hold_out(grouped, [""] * 60, 0.3, seed, "test")
    assert 0 < len(held) <= 18
    assert not set(stay.groups) & set(held.groups)


def test_strata_are_what_the_task_says() -> None:
    """Without strata a fraction is taken of all rows alike, so that a rare one may go."""
    few = rows_of(("one", "rare"), *((f"t{n}", "often") for n in range(9)))
    kept = [Counter(hold_out(few, [""] * 10, 0.5, seed, "test")[0].targets)["rare"] for seed in range(20)]
    assert 0 in kept
    assert 1 in kept
