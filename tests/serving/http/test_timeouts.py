"""Interrupted blocks: which error they raise, and that the task goes on afterwards."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from serving.http.timeouts import LISTEN_AFTER, WhilePresent, Within

LONG = 20.0


def test_in_time() -> None:
    """A block that ends in time leaves no timer behind."""

    async def main() -> None:
        with Within(LONG):
            await asyncio.sleep(0)
        assert all(timer.cancelled() for timer in asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]

    asyncio.run(main())


def test_over() -> None:
    """After its time a block raises TimeoutError, and the task is not cancelled."""

    async def main() -> None:
        with pytest.raises(TimeoutError), Within(0.01):
            await asyncio.sleep(LONG)
        await asyncio.sleep(0)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0

    asyncio.run(main())


def test_somebody_else_cancels() -> None:
    """A cancellation from outside stays one, even after the block's time."""

    async def block(both: bool) -> None:
        with Within(0.01 if both else LONG):
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                await asyncio.sleep(0.05)  # until the other one comes too
                raise

    async def main(both: bool) -> None:
        task = asyncio.create_task(block(both))
        await asyncio.sleep(0.03 if both else 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main(both=False))
    asyncio.run(main(both=True))


def test_own_errors_pass() -> None:
    """The block's own error is raised unchanged."""

    async def main() -> None:
        with pytest.raises(KeyError), Within(LONG):
            raise KeyError

    asyncio.run(main())


def test_a_caller_that_has_gone() -> None:
    """A disconnect raises ClientDisconnect; without one nothing is raised."""

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def stays() -> Message:
        await asyncio.sleep(LONG)
        raise AssertionError("nobody should listen for so long")

    async def main() -> None:
        with pytest.raises(ClientDisconnect), WhilePresent(gone):
            await asyncio.sleep(LONG)
        with pytest.raises(ClientDisconnect), WhilePresent(gone, expensive=True):  # told at once
            await asyncio.sleep(LISTEN_AFTER / 2)
        with WhilePresent(stays):
            await asyncio.sleep(2 * LISTEN_AFTER)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1  # nobody listens any more

    asyncio.run(main())
