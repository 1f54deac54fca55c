"""What a long command is doing and how far it is. Where nobody listens, nothing is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


class Progress:
    """Shows nothing; `export.console` does."""

    def begin(self, step: str) -> None:
        """A step begins, and the one before it has ended."""

    def expect(self, part: str, count: int) -> None:
        """A part of the step begins; it has so many units."""

    def advance(self, count: int) -> None:
        """So many more of the part's units are done."""


_progress: ContextVar[Progress] = ContextVar("progress")


@contextmanager
def report_to(progress: Progress) -> Iterator[None]:
    """Steps inside the block are reported there."""
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


def begin_step(step: str) -> None:
    _current().begin(step)


def track(part: str, values: Iterable[T], count: int, units: Callable[[T], int] = lambda value: 1) -> Iterator[T]:
    """The values, each of which does some of the part's ``count`` units."""
    progress = _current()
    progress.expect(part, count)
    for value in values:
        yield value
        progress.advance(units(value))


def _current() -> Progress:
    return _progress.get(Progress())
