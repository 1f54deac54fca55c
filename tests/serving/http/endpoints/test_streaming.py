"""A streamed answer whose reader leaves: generation stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.batching.batcher import Batcher
from serving.http.endpoints.streaming import Stream
from serving.protocols import PROTOCOLS
from serving.protocols import openai_completions as completions
from serving.protocols.base import Request
from serving.tasks.base import Encoded


@dataclass
class Prompt:
    """What the batcher and the stream know of a prompt."""

    ids: list[int] = field(default_factory=lambda: [1, 2])
    on_token: Callable[..., None] = print
    should_stop: Callable[[], bool] = bool


def test_a_reader_that_leaves_before_the_first_token() -> None:
    """The waiting prompt is dropped, the running one stopped."""
    go, ran = threading.Event(), list[Prompt]()

    def engine(prompts: Sequence[Prompt]) -> list[Any]:
        ran.extend(prompts)
        assert go.wait(10)
        return [None] * len(prompts)

    async def main() -> None:
        batcher, events = Batcher(engine), PROTOCOLS[completions.PATH].events
        assert events is not None
        runs, waits = Prompt(), Prompt()
        streams = [Stream(Request([], True, None), [Encoded("", [each])], events) for each in (runs, waits)]
        readers = []
        for stream in streams:
            readers.append(asyncio.create_task(stream.begin(batcher)))
            while not ran or batcher.depth < len(readers) - 1:
                await asyncio.sleep(0.001)
        for reader in readers:
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
        await asyncio.sleep(0)
        assert batcher.depth == 0
        assert runs.should_stop()
        go.set()
        await batcher.close()
        assert ran == [runs]

    asyncio.run(asyncio.wait_for(main(), 20))
