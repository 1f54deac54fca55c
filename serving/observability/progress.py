"""What a long command is doing and how far it is. Where nobody listens, nothing is shown.

A step has parts, one after another; a part has units, such as rows. A part that begins inside another one is not shown:
the outer one says how far the work is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


class Progress:
    """Shows nothing; `serving.observability.progress_bars` does."""

    def begin(self, step: str, seconds: float | None = None) -> None:
        """A step begins, and the one before it has ended; ``seconds``: when it has ended at the latest."""

    def expect(self, part: str, count: int, done: int = 0) -> None:
        """A part of the step begins; it has so many units, of which some are done."""

    def describe(self, part: str) -> None:
        """The part has another text."""

    def advance(self, count: int) -> None:
        """So many more of the part's units are done."""

    def finish(self) -> None:
        """The part has ended."""


_progress: ContextVar[Progress] = ContextVar("progress")
_is_open: ContextVar[bool] = ContextVar("is_open", default=False)


@contextmanager
def report_to(progress: Progress) -> Iterator[None]:
    """Steps inside the block are reported there."""
    token = _progress.set(progress)
    _is_open.set(False)
    try:
        yield
    finally:
        _progress.reset(token)


def begin_step(step: str, seconds: float | None = None) -> None:
    _current().begin(step, seconds)


class Part:
    """A part that is under way; silent inside another one."""

    def __init__(self, name: str, count: int, done: int = 0) -> None:
        self._progress = Progress() if _is_open.get() else _current()
        self._shown = not _is_open.get()
        _is_open.set(True)
        self._progress.expect(name, count, done)

    def advance(self, count: int) -> None:
        self._progress.advance(count)

    def describe(self, name: str) -> None:
        self._progress.describe(name)

    def close(self) -> None:
        if self._shown:
            _is_open.set(False)
            self._shown = False
            self._progress.finish()


@contextmanager
def open_part(name: str, count: int, done: int = 0) -> Iterator[Part]:
    part = Part(name, count, done)
    try:
        yield part
    finally:
        part.close()


def track(name: str, values: Iterable[T], count: int, units: Callable[[T], int] = lambda value: 1) -> Iterator[T]:
    """The values, each of which does some of the part's ``count`` units."""
    with open_part(name, count) as part:
        for value in values:
            yield value
            part.advance(units(value))


def _current() -> Progress:
    return _progress.get(Progress())
