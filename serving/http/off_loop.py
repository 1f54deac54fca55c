"""What takes long, on a few threads in place of the event loop.

A caller hands over one slice at a time, so that requests take turns, and so that the work of a request ends with the
slice in hand once its caller has gone or its deadline has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

THREADS = 2
"""One long text does not hold up the others; more would hold more long texts in memory at once."""

INLINE_BYTES = 16 * 1024
"""A body of up to so many is parsed on the event loop, where a thread would cost more."""

P = ParamSpec("P")
Result = TypeVar("Result")

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="off-loop")


async def off_loop(work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """The work's result, from one of the threads."""
    return await asyncio.get_running_loop().run_in_executor(_pool, lambda: work(*args, **kwargs))


async def parse_off_loop(parse: Callable[..., Result], body: Any, *args: object, size: int | None = None) -> Result:
    """Parse a large body off the loop, a small one at once; ``size``: its bytes, if it is no bytes itself."""
    small = (len(body) if size is None else size) <= INLINE_BYTES
    return parse(body, *args) if small else await off_loop(parse, body, *args)


def slices(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Neighbours of ``most`` together, or one that is larger."""
    start = total = 0
    for at, size in enumerate(sizes):
        if at > start and total + size > most:
            yield slice(start, at)
            start, total = at, 0
        total += size
    if sizes:
        yield slice(start, len(sizes))
