"""Requests start a few in each turn of the event loop, in order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from serving.batching.batch_shape import QueueLimits
from serving.http.server.admission import OVERLOADED, STARTS_PER_TURN, Admission
from serving.settings.limits import ServerLimits
from tests.serving.http.server.listening import Listening, listening

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def entering(scenario: Callable[[Admission, list[int]], None], most: int, turns: int) -> list[list[int]]:
    """The requests started after each turn of the loop; the scenario is the first turn."""
    begun: list[int] = []
    seen = []

    async def main() -> None:
        scenario(Admission(most), begun)
        for _ in range(turns):
            seen.append([*begun])
            await asyncio.sleep(0)

    asyncio.run(main())
    return seen


def test_turn_by_turn() -> None:
    """The same number starts in each turn until none waits."""

    def scenario(admission: Admission, begun: list[int]) -> None:
        assert all(admission.enter(partial(begun.append, number)) for number in range(2 * STARTS_PER_TURN + 3))

    seen = entering(scenario, 100, 4)
    assert [len(each) for each in seen] == [
        STARTS_PER_TURN,
        2 * STARTS_PER_TURN,
        2 * STARTS_PER_TURN + 3,
        2 * STARTS_PER_TURN + 3,
    ]
    assert seen[-1] == sorted(seen[-1])


def test_full() -> None:
    """If too many wait, the next is refused with the reason, and the waiting ones start."""

    def scenario(admission: Admission, begun: list[int]) -> None:
        taken = [admission.enter(partial(begun.append, number)) for number in range(STARTS_PER_TURN + 3)]
        assert taken == [True] * (STARTS_PER_TURN + 2) + [False]
        assert admission.full == "2 requests wait to be started already"

    assert len(entering(scenario, 2, 3)[-1]) == STARTS_PER_TURN + 2


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that answers whether the request must be refused."""
    await PlainTextResponse(scope.get(OVERLOADED, "welcome"))(scope, receive, send)


def test_of_all_connections() -> None:
    """The bound is for all connections together; a GET is not counted."""

    async def scenario(served: Listening) -> None:
        callers = [served.connect() for _ in range(STARTS_PER_TURN + 5)]
        while served.connections < len(callers):
            await asyncio.sleep(0)
        for caller in callers[:-1]:
            caller.sendall(POST)
        callers[-1].sendall(GET)
        answers = [await asyncio.to_thread(caller.recv, 65536) for caller in callers]
        refused = [b"2 requests wait to be started already" in answer for answer in answers]
        assert refused.count(True) == 2
        assert not refused[-1]
        assert all(b"welcome" in answer for answer, no in zip(answers, refused, strict=True) if not no)

    listening(tell, scenario, ServerLimits(QueueLimits(rows=2)))
