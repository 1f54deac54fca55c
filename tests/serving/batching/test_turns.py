"""Turns on a simulated clock: who runs next, who begins when, what is refused and what expires."""

from __future__ import annotations

import math

import pytest

from serving.batching.batch_shape import QueueLimits
from serving.batching.errors import Overloaded
from serving.batching.scheduler import Row
from serving.batching.turns import LARGEST_SHARE, MAX_RUNNING, Turns
from serving.errors import InputTooLarge


def turns(memory: int = 1000, bounds: QueueLimits = QueueLimits()) -> Turns:  # noqa: B008 - frozen
    return Turns(bounds, memory)


def put(waiting: Turns, name: str, rows: int = 1, *, size: int = 10, deadline: float = math.inf) -> list[Row]:
    """A caller's rows, whose owner is its name; they must be done 100 seconds after they must have begun."""
    added = [Row(4, deadline, name, size=size, end=deadline + 100) for _ in range(rows)]
    waiting.put(added, 0)
    return added


def play(waiting: Turns, slices: dict[str, tuple[int, float]], seconds: float) -> dict[str, list[float]]:
    """Run for so long: each caller's row takes so many slices, each of so many seconds. Gives when its rows ended."""
    now, left, ended = 0.0, dict[Row, int](), dict[str, list[float]]()
    while now < seconds and (batch := waiting.take(now).batch):
        (row,) = batch
        count, each = slices[row.owner]
        left[row] = left.get(row, count) - 1
        waiting.put_back(row, each)
        now += each
        if not left[row]:
            waiting.finish(row)
            ended.setdefault(row.owner, []).append(now)
    return ended


def test_empty() -> None:
    """Nothing gives nothing."""
    assert turns().take(0) == ([], [])
    turns().put([], 0)


def test_equal_callers_take_turns() -> None:
    """A slice each."""
    waiting = turns()
    for name in "abc":
        put(waiting, name)
    order = []
    for _ in range(9):
        ((row,), _) = waiting.take(0)
        order.append(row.owner)
        waiting.put_back(row, 0.5)
    assert sorted(order[:3]) == sorted(order[3:6]) == sorted(order[6:]) == ["a", "b", "c"]


def test_time_is_shared_and_not_slices() -> None:
    """Short slices are not held up by long ones: 10 of 1 ms beside a caller whose slices take 50 ms."""
    waiting = turns()
    put(waiting, "long")
    assert play(waiting, {"long": (1000, 0.05)}, 2) == {}
    put(waiting, "short")
    ended = play(waiting, {"long": (1000, 0.05), "short": (10, 0.001)}, 1)
    assert ended["short"][0] <= 0.05 + 0.011


def test_a_newcomer_owes_nothing_and_is_owed_nothing() -> None:
    """It begins with what the others have had; after that both get the same."""
    waiting = turns()
    put(waiting, "old")
    play(waiting, {"old": (10**6, 0.01)}, 100)
    put(waiting, "new")
    ended = play(waiting, {"old": (10**6, 0.01), "new": (100, 0.01)}, 10)
    assert ended["new"][0] == pytest.approx(2.0, abs=0.05)


def test_many_rows_get_no_larger_share() -> None:
    """A caller's rows run one after another, in their order."""
    waiting = turns()
    many = put(waiting, "many", 50)
    put(waiting, "one")
    ended = play(waiting, {"many": (10, 0.01), "one": (10, 0.01)}, 10)
    assert ended["one"][0] <= 0.22
    assert len(ended["many"]) == 50
    assert ended["many"] == sorted(ended["many"])
    assert all(row.seconds == pytest.approx(0.1) for row in many)


def test_a_row_is_in_one_hand() -> None:
    """Of several threads each has another caller."""
    waiting = turns()
    first, second = put(waiting, "a", 2), put(waiting, "b")
    assert waiting.take(0).batch == first[:1]
    assert waiting.take(0).batch == second
    assert waiting.take(0).batch == []
    waiting.put_back(first[0], 1)
    waiting.finish(first[0])
    assert waiting.take(0).batch == first[1:]


def test_memory() -> None:
    """A caller waits until its memory is free; one that needs less goes before it."""
    waiting = turns(1000)
    first, large, small = put(waiting, "a", size=500), put(waiting, "b", size=500), put(waiting, "c", size=100)
    third = put(waiting, "d", size=401)
    assert [waiting.take(0).batch for _ in range(3)] == [first, large, []]
    waiting.put_back(first[0], 1)
    waiting.finish(first[0])
    assert waiting.take(0).batch == small
    assert waiting.take(0).batch == []
    assert len(waiting) == 1
    waiting.remove(large[0])  # a caller that goes frees its own at once
    assert waiting.take(0).batch == third


def test_what_never_fits() -> None:
    """More than its share is refused, whatever runs."""
    waiting = turns(1000)
    put(waiting, "a", size=1000 // LARGEST_SHARE)
    with pytest.raises(InputTooLarge, match="ask for fewer new tokens") as caught:
        put(waiting, "b", size=1000 // LARGEST_SHARE + 1)
    assert caught.value.field == "max_new_tokens"
    assert len(waiting) == 1


def test_only_so_many_run() -> None:
    """The others wait for their turn to begin."""
    waiting = turns()
    for number in range(MAX_RUNNING + 5):
        put(waiting, str(number))
    while waiting.take(0).batch:
        pass
    assert len(waiting) == 5
    assert waiting.tokens == 20


def test_the_queue_has_bounds() -> None:
    """On what waits, not on what runs; an empty queue takes any request."""
    waiting = turns(bounds=QueueLimits(rows=3, tokens=100))
    put(waiting, "a", 5)
    with pytest.raises(Overloaded, match="5 texts of 20 tokens are in the queue"):
        waiting.admit()
    with pytest.raises(Overloaded):
        put(waiting, "b")
    assert waiting.take(0).batch
    waiting.admit()
    put(waiting, "b", 3)
    with pytest.raises(Overloaded):
        put(waiting, "c")


def test_expiry() -> None:
    """Rows expire at their deadline until the first of a caller's has begun, then all of them at their end."""
    waiting = turns(1000)
    runs = put(waiting, "a", 2, size=500, deadline=5)
    other = put(waiting, "b", size=500)
    assert waiting.take(0).batch == runs[:1]
    waits = put(waiting, "c", 2, size=100, deadline=4)
    assert waiting.next_deadline == 4
    assert waiting.expire(4) == waits[:1]
    assert waiting.next_deadline == 105
    assert waiting.take(104) == (other, [])
    assert waiting.take(105) == ([], runs[:1])
    waiting.put_back(runs[0], 1)  # it was in hand
    waiting.put_back(other[0], 1)
    assert [waiting.take(105).batch for _ in range(2)] == [other, []]


def test_what_is_removed_leaves_memory() -> None:
    """While it waits, while it runs and while it is in hand."""
    waiting = turns()
    for number in range(100):
        rows = put(waiting, str(number), 3)
        if number % 3:
            ((row,), _) = waiting.take(0)
            if number % 3 == 2:
                waiting.put_back(row, 1)
        for row in rows:
            waiting.remove(row)
            waiting.remove(row)
    assert (len(waiting), waiting.take(0), waiting._callers, waiting._running) == (0, ([], []), {}, [])


def test_an_admission_is_by_the_bounds() -> None:
    """Up to the bound itself; only what waits counts, and where nothing does anything is taken."""
    waiting = turns(bounds=QueueLimits(rows=2, tokens=9))
    for _ in range(2):
        waiting.admit()
        put(waiting, "a")
    with pytest.raises(Overloaded, match=r"^2 texts of 8 tokens are in the queue$"):
        waiting.admit()
    tokens = turns(bounds=QueueLimits(rows=9, tokens=9))
    put(tokens, "a", rows=2)
    tokens.admit()
    tokens.put([Row(1, size=1)], 0)
    with pytest.raises(Overloaded, match=r"^3 texts of 9 tokens are in the queue$"):
        tokens.admit()
    empty = turns(bounds=QueueLimits(rows=0, tokens=0))
    empty.admit()
    put(empty, "a")


def test_a_row_may_have_half_of_the_memory() -> None:
    """And no byte more; the message has both figures in megabytes."""
    memory = 4_000_000_000
    waiting = turns(memory)
    put(waiting, "half", size=memory // 2)
    with pytest.raises(InputTooLarge, match=r"need 2,001 MB for their keys and values, and may have 2,000;") as error:
        put(waiting, "more", size=memory // 2 + 1_000_000)
    assert error.value.field == "max_new_tokens"
    with pytest.raises(InputTooLarge):
        put(waiting, "one byte more", size=memory // 2 + 1)
    put(waiting, "other half", size=memory // 2)
    assert [waiting.take(0).batch[0].owner for _ in range(2)] == ["half", "other half"]
    put(waiting, "waits", size=1)
    assert waiting.take(0).batch == []
