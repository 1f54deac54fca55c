"""Expensive requests in a line: their order, their cost, and what is refused before it begins."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from serving.batching.errors import Expired, Overloaded
from serving.batching.line import Line


def soon(seconds: float) -> float:
    """A deadline."""
    return time.perf_counter() + seconds


def test_in_order() -> None:
    """One at a time, in the order they come; one that goes away while it waits holds up nobody."""
    ran: list[int] = []

    async def main() -> None:
        line = Line(1, lambda tokens: 0.0)

        async def take(name: int) -> None:
            async with line.take(1, math.inf if name else soon(5)):
                ran.append(name)
                await asyncio.sleep(0.001)

        tasks = [asyncio.create_task(take(name)) for name in range(4)]
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert ran == [0, 1, 3]


def test_what_would_be_late_is_refused() -> None:
    """Behind others a request is refused at once where both cannot end in time; alone it is accepted."""

    async def main() -> None:
        line = Line(1, lambda tokens: float(tokens))
        async with line.take(20, soon(10)):
            line.admit(soon(100))
            with pytest.raises(
                Overloaded, match=r"30 tokens of explanations take 30 s.* its deadline in 20 s"
            ) as refused:
                async with line.take(10, soon(20)):
                    raise AssertionError
            assert refused.value.seconds == pytest.approx(10, abs=0.1)
            with pytest.raises(Overloaded):
                line.admit(soon(20))
        line.admit(soon(1))

    asyncio.run(main())


def test_the_turn_does_not_come() -> None:
    """One whose turn does not come in time is told so; and one that is late by then is not begun."""

    async def main() -> None:
        pace = [0.0]
        line = Line(1, lambda tokens: tokens * pace[0])
        async with line.take(1, soon(10)):
            with pytest.raises(Expired, match="before the explanation's turn"):
                async with line.take(1, soon(0.01)):
                    raise AssertionError
            slow = asyncio.create_task(line.take(9, soon(5)).__aenter__())
            await asyncio.sleep(0)
            pace[0] = 1.0
        with pytest.raises(Overloaded):
            await slow
        async with line.take(1, soon(0.1)):
            pass

    asyncio.run(main())
