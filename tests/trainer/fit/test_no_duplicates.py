"""Batches in which no text comes twice, in an order that depends on seed and epoch alone."""

from __future__ import annotations

import pytest

from trainer.fit.no_duplicates import NoDuplicatesSampler
from trainer.model.inputs import cut

PARAGRAPHS = [(question, 1000 + question % 40) for question in range(200)]
"""Five questions for each of 40 paragraphs."""


def batches_of(keys: list[tuple[int, int]], size: int, epoch: int = 0) -> list[tuple[int, ...]]:
    sampler = NoDuplicatesSampler(keys, size, seed=3)
    sampler.set_epoch(epoch)
    return [tuple(batch) for batch in cut(list(sampler), size)]


def test_no_text_comes_twice_in_a_batch() -> None:
    """Every row comes once; only what is left at the end may repeat a text."""
    batches = batches_of(PARAGRAPHS, 16)
    assert sorted(at for batch in batches for at in batch) == list(range(200))
    repeats = [len(batch) - len({PARAGRAPHS[at][1] for at in batch}) for batch in batches]
    assert sum(map(bool, repeats)) <= 1
    assert not any(repeats[:-2])


def test_each_epoch_has_its_order() -> None:
    """The same for a resumed run, another in the next epoch."""
    assert batches_of(PARAGRAPHS, 16) == batches_of(PARAGRAPHS, 16)
    assert batches_of(PARAGRAPHS, 16) != batches_of(PARAGRAPHS, 16, epoch=1)


@pytest.mark.parametrize("paragraphs", [1, 3])
def test_fewer_texts_than_a_batch_has_rows(paragraphs: int) -> None:
    """All rows are still seen, once."""
    keys = [(at, 1000 + at % paragraphs) for at in range(50)]
    assert sorted(at for batch in batches_of(keys, 8) for at in batch) == list(range(50))


def test_a_frequent_text_is_looked_at_a_bounded_number_of_times() -> None:
    """Half of the rows have one text: time grows with the rows, not with their square."""
    looks = 0

    class Counted(tuple[int, ...]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            nonlocal looks
            looks += 1
            return super().__iter__()

    keys = [Counted((at, 1000 if at % 2 else 2000 + at)) for at in range(8000)]
    order = list(NoDuplicatesSampler(keys, 8, seed=0))
    assert sorted(order) == list(range(8000))
    assert looks < 40 * 8000
