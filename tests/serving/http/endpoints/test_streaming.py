"""A streamed answer whose reader leaves, or whose time is over: generation stops."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from serving.batching.batch_shape import QueueLimits
from serving.batching.batcher import Batcher
from serving.batching.turns import UNFINISHED, Turns
from serving.errors import InputError
from serving.http.endpoints.streaming import Stream, StreamResponse
from serving.protocols import PROTOCOLS
from serving.protocols.base import Request
from serving.protocols.openai_generation import completions
from serving.protocols.openai_generation.sampling import Options
from serving.tasks.base import Encoded
from serving.tasks.generation import GenerationParameters, Token


@dataclass
class Prompt:
    """What the batcher and the stream know of a prompt; its engine writes a token a slice, for ever."""

    ids: list[int] = field(default_factory=lambda: [1, 2])
    on_token: Callable[[Token], None] = lambda token: None
    slices: int = 0
    left: bool = False
    fails_at: int = -1

    def leave(self) -> None:
        self.left = True


def engine(prompts: Sequence[Prompt]) -> list[Any]:
    for prompt in prompts:
        time.sleep(0.001)
        prompt.slices += 1
        if prompt.slices == prompt.fails_at:
            raise InputError("every token is forbidden by now")
        prompt.on_token(Token(0, 7, "word ", None))
    return [UNFINISHED] * len(prompts)


def stream_of(*prompts: Prompt) -> Stream:
    options = Options(body=completions._Body(prompt=""), id="cmpl-1", kind=completions.KIND, created=0)
    events = PROTOCOLS[completions.PATH].events
    assert events is not None
    encoded = [Encoded("", [prompt]) for prompt in prompts]
    return Stream(Request([], True, GenerationParameters(), options), encoded, events)


def run(main: Callable[[Batcher], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        batcher = Batcher(engine, turns=Turns(QueueLimits(), 1000))
        async with asyncio.timeout(60):
            await main(batcher)
            await batcher.close()

    asyncio.run(bounded())


async def stands_still(prompt: Prompt) -> None:
    """After the slice that was running."""
    await asyncio.sleep(0.05)
    slices = prompt.slices
    await asyncio.sleep(0.05)
    assert prompt.slices == slices
    assert prompt.left


def test_a_reader_that_leaves_before_the_first_token() -> None:
    """The running prompt stops, the waiting one is never begun."""

    async def main(batcher: Batcher) -> None:
        runs, waits = Prompt(), Prompt()
        stream = stream_of(runs, waits)
        runs_on = asyncio.create_task(stream.begin(batcher))
        await asyncio.sleep(0)
        runs_on.cancel()
        with pytest.raises(asyncio.CancelledError):
            await runs_on
        await stands_still(runs)
        assert waits.slices == 0

    run(main)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_reader_that_leaves(after: int) -> None:
    """Before the response has begun, too: no event is ever asked for."""

    async def main(batcher: Batcher) -> None:
        prompt = Prompt()
        stream = stream_of(prompt)
        await stream.begin(batcher)
        sent: list[Any] = []
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) > after:
                gone.set()
            await asyncio.sleep(0)

        if not after:
            gone.set()
        await StreamResponse(stream, nullcontext(), None)({"type": "http"}, receive, send)
        await stands_still(prompt)

    run(main)


def test_a_reader_that_leaves_by_an_error() -> None:
    """As servers of ASGI 2.4 tell it."""

    async def main(batcher: Batcher) -> None:
        prompt = Prompt()
        stream = stream_of(prompt)
        await stream.begin(batcher)

        async def send(message: Any) -> None:
            raise OSError

        scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
        with pytest.raises(ClientDisconnect):
            await StreamResponse(stream, nullcontext(), None)(scope, asyncio.Event().wait, send)
        await stands_still(prompt)

    run(main)


@pytest.mark.parametrize(
    ("prompt", "seconds", "kind", "message"),
    [
        (Prompt(), 0.05, "timeout", "the deadline passed while the answer was being generated"),
        (Prompt(fails_at=3), 10, "validation", "every token is forbidden by now"),
    ],
    ids=["deadline", "input"],
)
def test_an_error_is_the_last_event(prompt: Prompt, seconds: float, kind: str, message: str) -> None:
    """In OpenAI's shape, behind what was generated: its client raises it."""

    async def main(batcher: Batcher) -> None:
        stream = stream_of(prompt)
        await stream.begin(batcher, end=time.perf_counter() + seconds)
        *tokens, last = [json.loads(event.removeprefix(b"data: ")) async for event in stream.events()]
        assert tokens
        assert all(each["choices"][0]["text"] == "word " for each in tokens)
        assert last["error"]["type"] == kind
        assert message in last["error"]["message"]
        stream.stop()
        await stands_still(prompt)

    run(main)
