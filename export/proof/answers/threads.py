"""Work that runs on several cores at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_in_threads(function: Callable[[T], R], values: Iterable[T], workers: int) -> Iterator[R]:
    """Results in the order of the values. Only a function that lets other threads run, as onnxruntime's calls do,
    gains from workers."""
    if workers == 1:
        yield from map(function, values)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(function, values)
