"""A step has the same rows in however many batches and processes it is computed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from trainer.fit.batches import LengthBucketSampler
from trainer.fit.step_batches import StepBatches

LENGTHS = torch.randint(3, 60, (101,), generator=torch.Generator().manual_seed(0)).tolist()
TOTAL = 12


def steps(batch_size: int, accumulation: int, count: int, epoch: int = 1) -> Iterator[list[list[int]]]:
    """The batches of each step, of all processes."""
    shards = [
        StepBatches(LengthBucketSampler(LENGTHS, batch_size * accumulation * count, 3), accumulation, rank, count)
        for rank in range(count)
    ]
    for shard in shards:
        shard.set_epoch(epoch)
    turns = list(zip(*shards, strict=True))
    assert {len(shard) for shard in shards} == {len(turns)}
    for start in range(0, len(turns), accumulation):
        yield [batch for turn in turns[start : start + accumulation] for batch in turn]


@pytest.mark.parametrize(
    ("batch_size", "accumulation", "count"), [(4, 3, 1), (6, 1, 2), (3, 2, 2), (1, 4, 3), (1, 1, 12), (2, 2, 3)]
)
def test_the_same_rows(batch_size: int, accumulation: int, count: int) -> None:
    """No row comes twice in an epoch, none is lost, and no batch is larger than the recipe says."""
    found = list(steps(batch_size, accumulation, count))
    expected = list(steps(TOTAL, 1, 1))
    assert [sorted(row for batch in step for row in batch) for step in found] == [sorted(*step) for step in expected]
    assert sorted(row for step in found for batch in step for row in batch) == list(range(101))
    sizes = {len(batch) for step in found for batch in step}
    assert max(sizes) == batch_size
    assert [len(batch) for step in found[:-1] for batch in step] == [batch_size] * (8 * TOTAL // batch_size)


def test_a_step_with_fewer_rows_than_processes() -> None:
    """Every process takes a turn, some without rows: they wait for each other's gradients."""
    assert [len(batch) for batch in list(steps(1, 1, 12))[-1]].count(0) == 12 - 101 % 12
    assert [len(batch) for batch in list(steps(1, 1, 12))[-1]].count(1) == 101 % 12


def test_the_order_within_a_step() -> None:
    """Texts of a batch are of similar length also where a step has several."""
    batches = [batch for step in list(steps(4, 3, 1))[:-1] for batch in step]
    spans = [max(LENGTHS[row] for row in batch) - min(LENGTHS[row] for row in batch) for batch in batches]
    assert sum(spans) / len(spans) < 4
