"""Holding out a fraction: exact, even over labels, seeded, the same text never on both sides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

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


def with_column(rows: Rows, **columns: list[Any]) -> Rows:
    return replace(rows, **columns)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_units_stay_together(fraction: float) -> None:
    """No unit has rows on both sides, however many it has, nor has a text of two units; the shares are kept."""
    customers = [f"c{n}" for n in range(80) for _ in range(1 + n % 7)]
    rows = rows_of(*((f"text {at // 2 if at < 10 else at}", "ab"[at % 3 == 0]) for at in range(len(customers))))
    stay, held = split(with_column(rows, units=customers), fraction, 0, "test")
    assert not set(stay.units) & set(held.units)
    assert not set(stay.groups) & set(held.groups)
    assert len(stay) + len(held) == len(rows)
    assert abs(len(held) / len(rows) - fraction) < 0.03
    for label in "ab":
        share = held.targets.count(label) / list(rows.targets).count(label)
        assert abs(share - fraction) < 0.06


def test_rows_of_no_unit() -> None:
    """Rows without a unit are held out one by one."""
    rows = with_column(rows_of(*((f"t{n}", "a") for n in range(100))), units=[None] * 50 + ["c"] * 50)
    _, held = split(rows, 0.1, 0, "test")
    assert len(held) == 10
    assert set(held.units) == {None}


def test_a_label_of_one_unit_stays() -> None:
    """The only unit with rows of a label is trained on."""
    rows = rows_of(*((f"t{n}", "rare" if n in (3, 4) else "often") for n in range(60)))
    for seed in range(5):
        stay, _ = split(with_column(rows, units=[str(n // 3) if n > 5 else "x" for n in range(60)]), 0.5, seed, "test")
        assert "rare" in stay.targets


def test_few_units() -> None:
    """Of three large units one is held out, as that is nearest to the fraction; of a single one none can be."""
    rows = rows_of(*((f"t{n}", "a") for n in range(30)))
    _, held = split(with_column(rows, units=["x"] * 10 + ["y"] * 10 + ["z"] * 10), 0.2, 0, "test")
    assert len(set(held.units)) == 1
    with pytest.raises(InputError, match="more rows with differing texts and groups"):
        split(with_column(rows, units=["x"] * 30), 0.2, 0, "test")


def test_latest() -> None:
    """The latest rows are held out, in the order of the file; rows of one time stay together."""
    times = [float(n * 7 % 50) for n in range(50)]
    rows = with_column(rows_of(*((f"t{n}", "a") for n in range(50))), times=times)
    stay, held = split(rows, 0.2, 0, "test")
    assert len(held) == 10
    assert max(stay.times) < min(held.times)
    assert list(held.numbers) == sorted(held.numbers)
    _, of_a_day = split(replace(rows, times=[n // 20 for n in range(50)]), 0.1, 0, "test")
    assert set(of_a_day.times) == {2}


def test_latest_with_known_texts() -> None:
    """A late row whose text is among the earlier ones is in neither part, so that it is no leak."""
    rows = rows_of(*((f"t{n % 15}", "a") for n in range(20)))
    stay, held = split(with_column(rows, times=[float(n) for n in range(20)]), 0.5, 0, "test")
    assert len(stay) == 10
    assert [*held.inputs] == [f"t{n}" for n in range(10, 15)]


def test_one_time() -> None:
    """Where every row has one time, none is the latest."""
    rows = with_column(rows_of(("a", "x"), ("b", "x")), times=[1.0, 1.0])
    with pytest.raises(InputError, match=r"data\.test: 0\.5 of 2 rows holds out none; .* texts and times"):
        split(rows, 0.5, 0, "test")
