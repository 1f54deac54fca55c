"""The scheduler on a simulated clock: what runs next, what is refused, what expires, and that no row starves."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.errors import Overloaded
from serving.batching.scheduler import IMPLICIT_DEADLINE, ROUNDING, Queue, Row

SECONDS_PER_TOKEN = 0.001


def queue(shape: BatchShape = BatchShape(), bounds: QueueLimits = QueueLimits()) -> Queue:  # noqa: B008 - frozen
    """An empty queue before an engine of 1,000 tokens a second."""
    return Queue(shape, bounds, SECONDS_PER_TOKEN)


def rows(*lengths: int, deadline: float = math.inf) -> list[Row]:
    """Rows of these lengths, of one caller."""
    return [Row(length, deadline) for length in lengths]


def lengths(batch: list[Row]) -> list[int]:
    """Their lengths."""
    return [row.tokens for row in batch]


def test_empty() -> None:
    """Nothing gives nothing."""
    assert queue().take(0) == ([], [])


def test_like_lengths_go_together() -> None:
    """Behind the first to come go those of its length, nearest first; the others wait for the next call."""
    waiting = queue()
    for length in (20, 90, 21, 22, 100, 19, 400):
        waiting.put(rows(length), 0)
    batches = [lengths(waiting.take(1).batch) for _ in range(3)]
    assert batches == [[19, 20, 21, 22], [90, 100], [400]]
    assert waiting.take(1).batch == []


@pytest.mark.parametrize(("others", "batch"), [((21, 15), [20, 21]), ((15, 21), [20, 21]), ((30, 19), [19, 20])])
def test_the_nearest_goes_along(others: tuple[int, int], batch: list[int]) -> None:
    """Whichever came first."""
    waiting = queue(BatchShape(ratio=2, rows=2))
    waiting.put(rows(20, *others), 0)
    assert lengths(waiting.take(0).batch) == batch


@pytest.mark.parametrize(
    ("shape", "batch"),
    [
        (BatchShape(tokens=64, ratio=9), [10, 11, 12, 13]),
        (BatchShape(tokens=512, ratio=1.15), [10, 11]),
        (BatchShape(tokens=512, ratio=9, rows=3), [10, 11, 12]),
        (BatchShape(tokens=4), [10]),
        (BatchShape(rows=1), [10]),
    ],
)
def test_shape(shape: BatchShape, batch: list[int]) -> None:
    """A call holds no more padded tokens, unlikeness and rows than the shape says; the leader always runs."""
    waiting = queue(shape)
    waiting.put(rows(10, 14, 11, 13, 12), 0)
    assert lengths(waiting.take(0).batch)[: len(batch)] == batch
    assert len(waiting) == 5 - len(batch)


@pytest.mark.parametrize(
    ("others", "batch"),
    [
        ([14], [10, 14]),
        ([10] * 10 + [14], [10] * 11),
        ([10] * 2 + [14] * 10, [10] * 3 + [14] * 10),
        ([6] * 10 + [9] * 3, [9, 9, 9, 10]),
    ],
)
def test_cheapest(others: list[int], batch: list[int]) -> None:
    """A longer row goes along where that is cheaper for each token than another call, and waits where it pads many."""
    waiting = queue(BatchShape(ratio=2, call_cost=10))
    waiting.put(rows(10), 0)
    waiting.put(rows(*others), 1)
    assert lengths(waiting.take(1).batch) == batch


def test_a_tie_takes_the_larger_batch() -> None:
    """Rows that cost as much in this call as in another go along: the fewer calls."""
    waiting = queue(BatchShape(ratio=2, call_cost=10))
    waiting.put(rows(20, 40), 0)
    assert lengths(waiting.take(0).batch) == [20, 40]


def test_a_large_request_shares() -> None:
    """A lone text that comes while a request of 128 has run for a while does not wait for the rest of it."""
    waiting = queue(BatchShape(rows=1))
    waiting.put(rows(*[10] * 128), 0)
    for _ in range(10):  # 10 tokens each: 0.1 s have passed
        waiting.take(0)
    lone = rows(10)
    waiting.put(lone, 0.1)
    order = [waiting.take(0.1).batch[0] for _ in range(3)]
    assert lone[0] in order


def test_a_lone_stream_does_not_starve_a_large_request() -> None:
    """With one lone text after another on a saturated engine, the last of a large request's rows still runs."""
    waiting, now = queue(BatchShape(rows=1)), 0.0
    large = rows(*[10] * 32)
    waiting.put(large, now)
    for _ in range(100):
        waiting.put(rows(10), now)
        waiting.take(now)
        now += 0.01
    assert not any(row.waiting for row in large)


def test_unlike_lengths_do_not_starve() -> None:
    """A long text runs in its turn though short ones keep coming that would fill every call."""
    waiting, now = queue(BatchShape(tokens=64)), 0.0
    waiting.put(rows(8, 8), now)
    (long,) = rows(400)
    waiting.put([long], now)
    for _ in range(3):
        waiting.put(rows(*[8] * 8), now)
        waiting.take(now)
        now += 0.06
    assert not long.waiting


def test_close_deadlines_first() -> None:
    """A close deadline goes before what came a little earlier, and not before what came long before."""
    waiting = queue(BatchShape(rows=1))
    early, urgent, recent = rows(10), rows(10, deadline=5.0), rows(10)
    waiting.put(early, 5.0 - IMPLICIT_DEADLINE - 0.5)
    waiting.put(recent, 5.0 - IMPLICIT_DEADLINE + 0.3)
    waiting.put(urgent, 5.0 - IMPLICIT_DEADLINE + 0.5)
    assert [waiting.take(4.6).batch for _ in range(3)] == [early, urgent, recent]


def test_expired_rows_do_not_run() -> None:
    """Expired rows are returned separately, wherever in the queue they were."""
    waiting = queue()
    gone, stays = rows(10, deadline=1.0), rows(10, deadline=3.0)
    waiting.put(stays, 0)
    waiting.put(gone, 0)
    assert waiting.next_deadline == 1.0
    assert waiting.take(2.0) == (stays, gone)
    assert (len(waiting), waiting.tokens, waiting.next_deadline) == (0, 0, math.inf)


def test_bounds() -> None:
    """Past the bound of texts or of tokens a caller is refused whole; on an empty queue anything is taken."""
    waiting = queue(bounds=QueueLimits(rows=3, tokens=100))
    waiting.put(rows(500), 0)
    waiting.take(0)
    for _ in range(2):
        waiting.put(rows(40), 0)
    with pytest.raises(Overloaded, match="2 texts of 80 tokens are in the queue"):
        waiting.put(rows(21), 0)
    waiting.admit()
    waiting.put(rows(20), 0)
    with pytest.raises(Overloaded):
        waiting.put(rows(1), 0)
    with pytest.raises(Overloaded):
        waiting.admit()
    assert len(waiting) == 3


@pytest.mark.parametrize(("length", "fits"), [(49, True), (50, False)])
def test_a_request_is_read_while_a_token_fits(length: int, fits: bool) -> None:
    """Up to the bound itself; a request of no rows is never refused."""
    waiting = queue(bounds=QueueLimits(rows=3, tokens=100))
    for each in (50, length):
        waiting.put(rows(each), 0)
    if fits:
        waiting.admit()
    else:
        with pytest.raises(Overloaded, match=r"^2 texts of 100 tokens are in the queue$"):
            waiting.admit()
    waiting.put([], 0)


@pytest.mark.parametrize("large", [[50, 50], [5000], [1] * 100, [100] * 100])
def test_a_large_request_leaves_room(large: list[int]) -> None:
    """It fills half of the queue, however large: others are accepted, and run before its last row."""
    waiting = queue(bounds=QueueLimits(rows=4, tokens=100))
    waiting.put(rows(*large), 0)
    for _ in range(2):
        waiting.put(rows(20), 0)
    with pytest.raises(Overloaded):
        waiting.put(rows(*large), 0)
    while waiting.take(0).batch:
        pass
    for _ in range(4):
        waiting.put(rows(25), 0)
    with pytest.raises(Overloaded):
        waiting.admit()


def test_a_request_that_is_just_in_time() -> None:
    """5,000 tokens take five seconds: a request that has five is taken, and one that has less is not."""
    waiting = queue()
    for _ in range(50):
        waiting.put(rows(100), 0)
    waiting.admit(5.0, 0.0)
    waiting.admit(15.0, 10.0)
    for deadline, now in ((4.99, 0.0), (14.99, 10.0)):
        with pytest.raises(Overloaded):
            waiting.admit(deadline, now)
    waiting.put(rows(10, deadline=15.0), 10.0)


def test_rows_that_are_gone_are_not_counted() -> None:
    """A caller that left takes its rows, and the time that they would have taken, out of the queue."""
    waiting = queue()
    gone, stays = rows(*[100] * 50), rows(10)
    waiting.put(gone, 0)
    waiting.put(stays, 0)
    for row in gone:
        waiting.remove(row)
    waiting.admit(0.02, 0.0)
    assert (len(waiting), waiting.tokens) == (1, 10)
    waiting.clear()
    assert (len(waiting), waiting.tokens, waiting.take(0).batch) == (0, 0, [])
    waiting.put(gone, 0)
    assert len(waiting) == 50


def test_a_missed_deadline_is_refused_at_once() -> None:
    """A request whose last row would start after its deadline is refused, unless the queue is empty."""
    waiting = queue()
    for _ in range(50):
        waiting.put(rows(100), 0)
    with pytest.raises(Overloaded, match=r"50 texts of 5,000 tokens .* would miss its deadline in 4 s"):
        waiting.put(rows(10, deadline=4.0), 0)
    with pytest.raises(Overloaded):
        waiting.admit(deadline=4.0, now=0)
    assert len(waiting) == 50
    waiting.admit(deadline=6.0, now=0)
    waiting.put(rows(10, deadline=6.0), 0)


def test_a_request_counts_its_own_rows() -> None:
    """A request is refused where its own texts, after those that wait, take longer than it gives them."""
    waiting = queue()
    waiting.put(rows(100), 0)
    with pytest.raises(Overloaded):
        waiting.put(rows(*[100] * 40, deadline=3.0), 0)
    waiting.put(rows(*[100] * 20, deadline=3.0), 0)


def test_only_rows_that_run_first_count() -> None:
    """A lone text with little time is taken behind a request of many: it shares the engine with it."""
    waiting = queue()
    waiting.put(rows(*[100] * 100), 0)
    waiting.put(rows(10, deadline=2.0), 0)
    waiting.admit(deadline=2.0, now=0)


@pytest.mark.parametrize("deadline", [0.5, 1.0])
def test_an_expired_request_is_not_overload(deadline: float) -> None:
    """A request that arrives after its deadline, or at it, expires instead of being told to retry."""
    waiting = queue()
    waiting.put(rows(100), 0)
    expired = rows(10, deadline=deadline)
    waiting.put(expired, 1.0)
    assert waiting.take(1.0).expired == expired


def test_finished_rows_leave_memory() -> None:
    """Of ten thousand finished rows with far deadlines the heaps keep fewer than a hundred."""
    waiting = queue()
    for number in range(10_000):
        waiting.put(rows(10, deadline=number + 1e6), number)
        waiting.take(number)
    assert len(waiting._by_deadline._heap) < 100
    assert len(waiting._by_priority._heap) < 100


class AnyTraffic(RuleBasedStateMachine):
    """The scheduler's promises hold for any order of arrivals, departures and time."""

    def __init__(self) -> None:
        super().__init__()
        self.shape, self.bounds, self.now = BatchShape(tokens=64, ratio=1.5, rows=6), QueueLimits(12, 400), 0.0
        self.queue = queue(self.shape, self.bounds)
        self.waiting: list[Row] = []
        self.weights: dict[int, float] = {}

    @rule(
        lengths=st.lists(st.integers(1, 100), min_size=1, max_size=8), patience=st.sampled_from([0.05, 0.5, math.inf])
    )
    def put(self, lengths: list[int], patience: float) -> None:
        """A request is accepted or refused whole: by the limits, or because its last row would miss the deadline."""
        new = rows(*lengths, deadline=self.now + patience)
        filled = [self.weights[id(row)] for row in self.waiting]
        tokens = sum(row.tokens * weight for row, weight in zip(self.waiting, filled, strict=True))
        fits = sum(filled) + len(new) <= 12 + ROUNDING and tokens + sum(lengths) <= 400 + ROUNDING
        fits &= self.seconds_before_last(new) <= new[-1].deadline - self.now
        try:
            self.queue.put(new, self.now)
        except Overloaded:
            assert not fits
            assert self.waiting
        else:
            assert fits or not self.waiting
            self.waiting += new
            share = max(len(new) / 12, sum(lengths) / 400)
            self.weights.update({id(row): min(1, 0.5 / share) for row in new})

    def seconds_before_last(self, new: list[Row]) -> float:
        """Seconds of the rows that run before a request's last one."""
        *own, last = new
        rank = self.now + sum(row.tokens for row in own) * SECONDS_PER_TOKEN
        priority = min(rank + IMPLICIT_DEADLINE, last.deadline)
        return (
            sum(row.tokens for row in [*own, *(row for row in self.waiting if row.priority <= priority)])
            * SECONDS_PER_TOKEN
        )

    @rule()
    def take(self) -> None:
        """The most urgent row runs, with others that fit, and no expired one; an idle engine never waits."""
        alive = [row for row in self.waiting if row.deadline > self.now]
        batch, expired = self.queue.take(self.now)
        assert set(expired) == set(self.waiting) - set(alive)
        assert bool(batch) == bool(alive)
        if batch:
            assert min(alive, key=lambda row: (row.priority, row.number)) in batch
            assert self.shape.fits(len(batch), min(lengths(batch)), max(lengths(batch)))
        self.waiting = [row for row in alive if row not in batch]

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A caller goes away."""
        row = data.draw(st.sampled_from(self.waiting))
        self.queue.remove(row)
        self.queue.remove(row)
        self.waiting.remove(row)

    @rule(seconds=st.floats(0.001, 0.3))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds

    @invariant()
    def counts(self) -> None:
        """The queue knows how much waits."""
        assert len(self.queue) == len(self.waiting)
        assert self.queue.tokens == sum(row.tokens for row in self.waiting)
        assert all(row.waiting for row in self.waiting)


TestAnyTraffic = AnyTraffic.TestCase
TestAnyTraffic.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
