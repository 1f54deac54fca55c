"""The batcher: many callers, one engine, nothing lost, nobody harmed by a neighbour."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from serving.batching.batch_shape import BatchShape, QueueLimits
from serving.batching.batcher import Batcher, Timing
from serving.batching.errors import Expired, Overloaded, Unavailable
from serving.batching.scheduler import Row, Throughput
from serving.batching.turns import UNFINISHED, Turns
from serving.errors import UserError
from serving.tasks.base import Logits


@dataclass
class Text:
    """What the batcher knows of an encoding: its token ids; the first one says which text it is."""

    ids: list[int]


def text(name: int, tokens: int = 4) -> Any:
    """An encoding of so many tokens."""
    return Text([name] + [0] * (tokens - 1))


@dataclass
class Engine:
    """Answers each row with its own name, and records what it was asked and whether it was ever asked twice at once."""

    poison: frozenset[int] = frozenset()
    seconds: float = 0.0
    calls: list[list[int]] = field(default_factory=list)
    threads: set[threading.Thread] = field(default_factory=set)
    overlapped: bool = False
    free: threading.Event = field(default_factory=threading.Event)
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.free.set()

    def __call__(self, rows: Sequence[Any]) -> Logits:
        """Logits [rows, 1]."""
        names = [row.ids[0] for row in rows]
        self.calls.append(names)
        self.threads.add(threading.current_thread())
        self.overlapped |= not self._busy.acquire(blocking=False)
        try:
            assert self.free.wait(60)
            time.sleep(self.seconds)
            if bad := self.poison.intersection(names):
                raise ValueError(f"poison {min(bad)}")
            return np.array([[name] for name in names], dtype=np.float32)
        finally:
            self._busy.release()

    @property
    def names(self) -> list[int]:
        """Every row that was run, in order."""
        return [name for call in self.calls for name in call]


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a scenario; a hang is a failure."""

    async def bounded() -> Any:
        async with asyncio.timeout(120):
            return await main()

    return asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    while not condition():
        await asyncio.sleep(0.001)


async def blocked(engine: Engine, batcher: Batcher) -> asyncio.Task[Any]:
    """Give the engine row 0 and hold it there, so that what follows has to wait."""
    engine.free.clear()
    calls = len(engine.calls)
    first = asyncio.create_task(batcher.submit([text(0)]))
    await until(lambda: len(engine.calls) > calls)
    return first


def values(answers: Any) -> list[int]:
    """The names that the engine answered with."""
    return [int(answer[0]) for answer in answers]


def test_order() -> None:
    """Each caller gets the answers to its own rows, in the order it gave them."""

    async def main() -> None:
        batcher = Batcher(Engine())
        many = [list(range(start, start + 5)) for start in range(0, 50, 5)]
        answers = await asyncio.gather(*(batcher.submit([text(name) for name in names]) for names in many))
        assert [values(answer) for answer in answers] == many
        await batcher.close()

    run(main)


def test_nothing() -> None:
    """No rows give no answers."""

    async def main() -> None:
        assert await Batcher(Engine()).submit([]) == []

    run(main)


def test_lone_row_is_not_delayed() -> None:
    """A row that finds the engine free runs at once and alone."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine)
        for name in range(3):
            assert values(await batcher.submit([text(name)])) == [name]
        assert engine.calls == [[0], [1], [2]]

    run(main)


def test_gathers_while_busy() -> None:
    """Rows of several callers that wait for the engine share its next call."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        others = [asyncio.create_task(batcher.submit([text(name)])) for name in (1, 2, 3)]
        await until(lambda: batcher.depth == 3)
        engine.free.set()
        await asyncio.gather(first, *others)
        assert engine.calls == [[0], [1, 2, 3]]
        assert batcher.depth == 0

    run(main)


def test_token_budget() -> None:
    """A call holds no more than the budget of padded tokens; a row longer than that is run by itself."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine, shape=BatchShape(tokens=16, ratio=2))
        first = await blocked(engine, batcher)
        rows = [text(1), text(2), text(3), text(4, 100), text(5), text(6, 16), text(7, 8), text(8)]
        rest = asyncio.create_task(batcher.submit(rows))
        await until(lambda: batcher.depth == len(rows))
        engine.free.set()
        assert values(await rest) == [1, 2, 3, 4, 5, 6, 7, 8]
        await first
        assert engine.calls == [[0], [1, 2, 3, 5], [4], [6], [8, 7]]

    run(main)


def test_poison_fails_alone() -> None:
    """A row on which the engine fails gets the engine's error; its neighbours get their answers."""

    async def main() -> None:
        engine = Engine(poison=frozenset({2}))
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        tasks = [asyncio.create_task(batcher.submit([text(name)])) for name in (1, 2, 3)]
        await until(lambda: batcher.depth == 3)
        engine.free.set()
        one, two, three = await asyncio.gather(*tasks, return_exceptions=True)
        assert values(one) == [1]
        assert values(three) == [3]
        assert isinstance(two, ValueError)
        assert str(two) == "poison 2"
        await first
        assert values(await batcher.submit([text(9)])) == [9]

    run(main)


def test_poisoned_caller_leaves_no_work() -> None:
    """Once one row of a caller has failed, the rest of that caller's rows are not run."""

    async def main() -> None:
        engine = Engine(poison=frozenset({1}))
        batcher = Batcher(engine)
        with pytest.raises(ValueError, match="poison 1"):
            await batcher.submit([text(name) for name in range(1, 6)])
        await batcher.close()
        assert engine.calls == [[1, 2, 3, 4, 5], [1, 2], [1]]

    run(main)


def test_cancelled_rows_never_run() -> None:
    """Rows whose caller went away while they waited are dropped; the others are answered."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        gone = asyncio.create_task(batcher.submit([text(1), text(2)]))
        stays = asyncio.create_task(batcher.submit([text(3)]))
        await until(lambda: batcher.depth == 3)
        gone.cancel()
        await asyncio.wait([gone])
        engine.free.set()
        assert values(await stays) == [3]
        await first
        assert gone.cancelled()
        assert engine.names == [0, 3]

    run(main)


def test_cancelled_in_the_engine() -> None:
    """A caller that goes away while its row runs disturbs nobody."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        stays = asyncio.create_task(batcher.submit([text(1)]))
        first.cancel()
        await asyncio.wait([first])
        engine.free.set()
        assert values(await stays) == [1]

    run(main)


def test_overload() -> None:
    """A row that finds the queue full is refused at once, never run, and the queue stays usable."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine, bounds=QueueLimits(rows=2))
        first = await blocked(engine, batcher)
        waiting = [asyncio.create_task(batcher.submit([text(name)])) for name in (1, 2)]
        await until(lambda: batcher.depth == 2)
        with pytest.raises(Overloaded, match="2 texts of 8 tokens are in the queue"):
            await batcher.submit([text(3)])
        engine.free.set()
        await asyncio.gather(first, *waiting)
        assert values(await batcher.submit([text(4)])) == [4]
        assert engine.names == [0, 1, 2, 4]

    run(main)


def test_large_request_on_an_empty_queue() -> None:
    """A request larger than the whole queue is accepted where nobody waits: else it could never be answered."""

    async def main() -> None:
        assert values(
            await Batcher(Engine(), bounds=QueueLimits(rows=2)).submit([text(name) for name in range(5)])
        ) == [*range(5)]

    run(main)


def test_seconds_to_drain() -> None:
    """The estimate follows the measured throughput and the depth of the queue."""

    async def main() -> None:
        engine = Engine(seconds=0.02)
        batcher = Batcher(engine)
        assert batcher.seconds_to_drain == 0
        await batcher.submit([text(1)])
        first = await blocked(engine, batcher)
        rest = asyncio.create_task(batcher.submit([text(name) for name in range(1, 11)]))
        await until(lambda: batcher.depth == 10)
        assert 0.2 <= batcher.seconds_to_drain < 5
        engine.free.set()
        await asyncio.gather(first, rest)

    run(main)


def test_throughput_is_a_moving_average() -> None:
    """The first call is taken as it is, of each later one a tenth; workers share the time, and no tokens are one."""
    throughput, estimates = Throughput(1.0), []
    for tokens, seconds in ((10, 1.0), (10, 3.0), (0, 0.31)):
        throughput.measure([Row(tokens)], seconds, workers=2)
        estimates.append(throughput.seconds_per_token)
    assert estimates == pytest.approx([0.05, 0.06, 0.0695])


def test_one_call_at_a_time() -> None:
    """The engine is called on one thread of its own, never twice at once, and 500 callers all get their answer."""

    async def caller(batcher: Batcher, name: int, rng: random.Random) -> None:
        await asyncio.sleep(rng.random() * 0.2)
        count = rng.randint(1, 4)
        names = [name * 10 + index for index in range(count)]
        rows = [text(each, rng.randint(1, 64)) for each in names]
        assert values(await batcher.submit(rows)) == names

    async def main() -> None:
        engine = Engine(seconds=0.0002)
        batcher = Batcher(engine, shape=BatchShape(tokens=256), bounds=QueueLimits(10_000, 10**7))
        rng = random.Random(0)
        await asyncio.gather(*(caller(batcher, name, rng) for name in range(500)))
        await batcher.close()
        assert not engine.overlapped
        assert len(engine.threads) == 1
        assert threading.main_thread() not in engine.threads
        assert len(engine.names) == len(set(engine.names))
        assert len(engine.calls) < len(engine.names)

    run(main)


def test_cancellation_storm() -> None:
    """With half of 300 callers going away at random moments, every other one is answered and the queue ends empty."""

    async def main() -> None:
        batcher = Batcher(Engine(seconds=0.0005, poison=frozenset({7, 70})), shape=BatchShape(tokens=64))
        rng = random.Random(1)
        tasks = [asyncio.create_task(batcher.submit([text(name)])) for name in range(300)]
        for task in tasks[::2]:
            asyncio.get_running_loop().call_later(rng.random() * 0.05, task.cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for name, result in list(enumerate(results))[1::2]:
            assert isinstance(result, ValueError) if name == 7 else values(result) == [name]
        assert batcher.depth == 0
        assert values(await batcher.submit([text(1)])) == [1]

    run(main)


def test_close_finishes() -> None:
    """close() returns once everything that was accepted is answered."""

    async def main() -> None:
        engine = Engine(seconds=0.005)
        batcher = Batcher(engine, shape=BatchShape(tokens=8))
        tasks = [asyncio.create_task(batcher.submit([text(name)])) for name in range(8)]
        await asyncio.sleep(0)
        await batcher.close()
        assert batcher.depth == 0
        assert [values(await task) for task in tasks] == [[name] for name in range(8)]
        assert not any(thread.is_alive() for thread in engine.threads)

    run(main)


def test_deadline() -> None:
    """A row whose time is over is answered with Expired at once, though the engine is busy, and is never run."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        start = time.perf_counter()
        late = asyncio.create_task(batcher.submit([text(1)], deadline=start + 0.02))
        patient = asyncio.create_task(batcher.submit([text(2)], deadline=start + 60))
        with pytest.raises(Expired, match="the deadline passed before the request ran"):
            await late
        assert batcher.depth == 1
        engine.free.set()
        assert values(await patient) == [2]
        await first
        assert engine.names == [0, 2]
        await batcher.close()

    run(main)


def test_a_closer_deadline_that_comes_later() -> None:
    """It is kept before the one that was first, and so is the next one after it."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        start = time.perf_counter()
        patient = asyncio.create_task(batcher.submit([text(1)], deadline=start + 60))
        later = asyncio.create_task(batcher.submit([text(2)], deadline=start + 0.06))
        with pytest.raises(Expired):
            await batcher.submit([text(3)], deadline=start + 0.02)
        with pytest.raises(Expired):
            await later
        engine.free.set()
        assert values(await patient) == [1]
        await first
        await batcher.close()

    run(main)


def test_deadline_in_the_middle() -> None:
    """A request whose time is over when some of its rows were run is told how many, and the rest is never run."""

    async def main() -> None:
        engine = Engine(seconds=0.1)
        batcher = Batcher(engine, shape=BatchShape(rows=1))
        with pytest.raises(Expired, match=r"the deadline passed when \d of 9 texts were done; send fewer in a request"):
            await batcher.submit([text(name) for name in range(9)], deadline=time.perf_counter() + 0.25)
        await batcher.close()
        assert len(engine.names) < 9

    run(main)


def test_too_late_to_begin() -> None:
    """At the pace that was measured a caller that would not be begun in time is refused before its deadline."""

    async def main() -> None:
        engine = Engine(seconds=0.1)
        batcher = Batcher(engine)
        await batcher.submit([text(1)])
        first = await blocked(engine, batcher)
        waiting = asyncio.create_task(batcher.submit([text(2, 100)]))
        await until(lambda: batcher.depth == 1)
        for ask in (batcher.admit, lambda by: batcher._enqueue([text(3)], Timing(), by, math.inf)):
            with pytest.raises(Overloaded, match=r"would miss its deadline in 1\.\d s"):
                ask(time.perf_counter() + 1.5)
        engine.free.set()
        await asyncio.gather(first, waiting)
        assert engine.names == [1, 0, 2]

    run(main)


def test_poison_is_found_by_halving() -> None:
    """Of 64 rows one fails: 64 get what they should, in far fewer calls than one for each."""

    async def main() -> None:
        engine = Engine(poison=frozenset({37}))
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        tasks = [asyncio.create_task(batcher.submit([text(name)])) for name in range(1, 65)]
        await until(lambda: batcher.depth == 64)
        engine.free.set()
        results = await asyncio.gather(first, *tasks, return_exceptions=True)
        assert isinstance(results.pop(37), ValueError)
        assert [values(each)[0] for each in results] == [name for name in range(65) if name != 37]
        assert len(engine.calls) == 1 + 1 + 2 * 6

    run(main)


def test_several_workers() -> None:
    """With two workers two calls of the engine are under way at once, and everybody gets their own answers."""

    async def main() -> None:
        both = threading.Barrier(2, timeout=60)

        def engine(rows: Sequence[Any]) -> list[Any]:
            both.wait()
            return [[row.ids[0]] for row in rows]

        batcher = Batcher(engine, shape=BatchShape(rows=1), workers=2)
        names = range(20)
        answers = await asyncio.gather(*(batcher.submit([text(name)]) for name in names))
        assert [values(answer) for answer in answers] == [[name] for name in names]
        await batcher.close()

    run(main)


def test_miscounting_engine() -> None:
    """An engine that gives too few results fails its caller, and its thread lives on."""

    async def main() -> None:
        batcher = Batcher(lambda rows: [[1]] if rows[0].ids[0] == 1 else [])
        with pytest.raises(RuntimeError, match="the engine gave 0 results for 1 windows"):
            await batcher.submit([text(2)])
        assert values(await batcher.submit([text(1)])) == [1]

    run(main)


def test_closed() -> None:
    """After close() nothing is accepted."""

    async def main() -> None:
        batcher = Batcher(Engine())
        await batcher.close()
        with pytest.raises(Unavailable):
            await batcher.submit([text(1)])

    run(main)


def test_close_idle() -> None:
    """close() of a batcher that never ran returns."""
    run(Batcher(Engine()).close)


def test_tells_what_it_does() -> None:
    """Each call of the engine is told of, with how long each row had waited; each request learns its own times."""

    async def main() -> None:
        engine, told = Engine(seconds=0.002), Told()
        batcher, timing = Batcher(engine, shape=BatchShape(ratio=2), observer=told), Timing()
        first = await blocked(engine, batcher)
        rest = asyncio.create_task(batcher.submit([text(1, 4), text(2, 6)], timing))
        await until(lambda: batcher.depth == 2)
        assert timing.submitted > 0 == timing.begun
        engine.free.set()
        await asyncio.gather(first, rest)
        assert [(len(waited), tokens) for waited, tokens, _ in told.batches] == [(1, 4), (2, 10)]
        waited, _, seconds = told.batches[1]
        assert waited == pytest.approx([timing.begun - timing.submitted] * 2)
        assert 0.002 <= seconds <= timing.answered - timing.begun

    run(main)


def test_background_rows_give_way_and_end() -> None:
    """A caller that asks again and again is answered between background rows, which all get their results too."""

    async def main() -> None:
        engine = Engine(seconds=0.002)
        batcher = Batcher(engine, shape=BatchShape(rows=1))
        names = list(range(100, 130))
        long = asyncio.create_task(batcher.submit([text(name) for name in names], background=True))
        await until(lambda: len(engine.calls) > 0)
        for name in range(8):
            assert values(await batcher.submit([text(name)])) == [name]
        assert sum(name in names for name in engine.names) <= 8
        assert values(await long) == names
        await batcher.close()

    run(main)


class PanicException(BaseException):
    """As pyo3's, which a panic of Rust code becomes: no Exception."""


def test_a_panic_fails_its_request_alone() -> None:
    """A panic in the engine, which no Exception is, is the error of its row: neighbours and later rows are answered."""

    def engine(rows: Sequence[Any]) -> list[Any]:
        if any(row.ids[0] == 2 for row in rows):
            raise PanicException("index out of bounds")
        return [[row.ids[0]] for row in rows]

    async def main() -> None:
        batcher = Batcher(engine)
        tasks = [asyncio.create_task(batcher.submit([text(name)])) for name in (1, 2, 3)]
        one, two, three = await asyncio.gather(*tasks, return_exceptions=True)
        assert values(one) == [1]
        assert values(three) == [3]
        assert isinstance(two, RuntimeError)
        assert "PanicException: index out of bounds" in str(two)
        assert values(await batcher.submit([text(9)])) == [9]
        assert batcher.alive
        await batcher.close()

    run(main)


def test_a_failing_worker(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A failure outside the engine fails what is in hand, is logged, and the thread goes on."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        rest = asyncio.create_task(batcher.submit([text(1), text(2)]))
        await until(lambda: batcher.depth == 2)
        with monkeypatch.context() as patch:
            patch.setattr(batcher, "_store", lambda *_: [][0])
            engine.free.set()
            for task in (first, rest):
                with pytest.raises(RuntimeError, match="an engine thread failed: IndexError"):
                    await task
        assert batcher.depth == 0
        assert values(await batcher.submit([text(3)])) == [3]
        assert batcher.alive
        await batcher.close()

    run(main)
    assert "an engine thread failed" in caplog.text


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no thread, the batcher is not made, says why, and leaves no other thread behind."""
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(UserError, match=r"can't start new thread.*ulimit -u.*TUNESHIP_WORKERS"):
        Batcher(Engine(), workers=2)
    started[0].join(5)
    assert not started[0].is_alive()


def test_a_dead_thread_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its thread a batcher is not alive, and refuses what nobody would answer."""

    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Batcher, "_work", lambda batcher: None)
            batcher = Batcher(Engine())
            await until(lambda: not batcher.alive)
        with pytest.raises(Unavailable, match="the engine's threads have ended"):
            await batcher.submit([text(1)])
        await batcher.close()

    run(main)


def test_close_is_bounded() -> None:
    """close() interrupts an engine that runs for nobody; one that cannot be interrupted it leaves behind."""

    async def main() -> None:
        for interrupts in (True, False):
            engine = Engine()
            batcher = Batcher(engine, interrupt=engine.free.set if interrupts else lambda: None)
            first = await blocked(engine, batcher)
            first.cancel()
            await asyncio.wait([first])
            await batcher.close(0.05)
            assert batcher.alive is not interrupts
            engine.free.set()

    run(main)


def test_close_fails_what_it_leaves_behind() -> None:
    """A caller whose row an uninterruptible engine holds past the bound of close() is told, not left waiting."""

    async def main() -> None:
        engine = Engine()
        batcher = Batcher(engine)
        first = await blocked(engine, batcher)
        await batcher.close(0.05)
        with pytest.raises(Unavailable, match="the model is being closed"):
            await first
        engine.free.set()

    run(main)


def test_a_result_for_a_loop_that_has_ended() -> None:
    """A result that comes after the event loop's end is dropped, and the thread ends without an error."""
    engine, kept = Engine(), list[Batcher]()

    async def main() -> None:
        kept.append(batcher := Batcher(engine))
        await blocked(engine, batcher)

    asyncio.run(main())
    kept[0]._closed = True
    engine.free.set()
    for thread in engine.threads:
        thread.join(5)
        assert not thread.is_alive()


@dataclass
class Told:
    """An observer that keeps what it is told."""

    batches: list[tuple[Sequence[float], int, float]] = field(default_factory=list)

    def ran(self, waited: Sequence[float], tokens: int, seconds: float) -> None:
        """Keep it."""
        self.batches.append((waited, tokens, seconds))


@dataclass
class SlicedEngine:
    """Runs each row in so many slices as it has tokens."""

    calls: list[int] = field(default_factory=list)
    left: dict[int, int] = field(default_factory=dict)
    free: threading.Event = field(default_factory=threading.Event)

    def __call__(self, rows: Sequence[Any]) -> list[Any]:
        """The row's name, after its last slice; text 13 fails in its third."""
        (row,) = rows
        name = row.ids[0]
        assert self.free.wait(60)
        time.sleep(0.0005)
        self.calls.append(name)
        self.left[name] = self.left.get(name, len(row.ids)) - 1
        if name == 13 and self.calls.count(name) == 3:
            raise ValueError("poison")
        return [UNFINISHED if self.left[name] else [name]]


def sliced(**options: Any) -> tuple[SlicedEngine, Batcher]:
    """With an engine that runs."""
    engine = SlicedEngine()
    engine.free.set()
    return engine, Batcher(engine, turns=Turns(QueueLimits(), 1000), **options)


@pytest.mark.parametrize("workers", [1, 3])
def test_slices_of_many_callers(workers: int) -> None:
    """Each gets its own results, in order; the short ones do not wait for the long one; one fails alone."""

    async def main() -> None:
        engine, batcher = sliced(workers=workers)
        long = asyncio.create_task(batcher.submit([text(1, 2000)]))
        poison = asyncio.create_task(batcher.submit([text(13, 5)]))
        short = [batcher.submit([text(10 * n + k, 3) for k in range(4)]) for n in range(2, 12)]
        answers = await asyncio.gather(*short)
        assert [values(answer) for answer in answers] == [[10 * n + k for k in range(4)] for n in range(2, 12)]
        with pytest.raises(ValueError, match="poison"):
            await poison
        assert not long.done()
        long.cancel()
        await asyncio.wait([long])
        calls = len(engine.calls)
        assert values(await batcher.submit([text(7)])) == [7]
        assert engine.calls[calls:].count(1) <= workers  # what ran when its caller left
        await batcher.close()

    run(main)


def test_slices_expire() -> None:
    """At the deadline until they begin, then at the end: between two slices, and in a long one too."""

    async def main() -> None:
        engine, batcher = sliced()
        now = time.perf_counter()
        with pytest.raises(Expired, match="while the answer was being generated; ask for fewer tokens"):
            await batcher.submit([text(1, 10**6)], deadline=now + 5, end=now + 0.1)
        assert time.perf_counter() - now >= 0.1
        engine.free.clear()
        now = time.perf_counter()
        late = asyncio.create_task(batcher.submit([text(2, 3)], deadline=now + 1, end=now + 0.05))
        with pytest.raises(Expired):
            await late
        engine.free.set()
        assert values(await batcher.submit([text(3)])) == [3]
        await batcher.close()

    run(main)


def test_slices_tell_what_they_did() -> None:
    """Once for each row: its wait until the first slice, and the time of all slices."""

    async def main() -> None:
        told, timing = Told(), Timing()
        _, batcher = sliced(observer=told)
        await batcher.submit([text(1, 20)], timing)
        await until(lambda: bool(told.batches))
        ((waited, tokens, seconds),) = told.batches
        assert (len(waited), tokens) == (1, 20)
        assert seconds >= 20 * 0.0005
        assert 0 < timing.submitted <= timing.begun < timing.answered
        assert timing.answered - timing.begun >= 20 * 0.0005
        await batcher.close()

    run(main)
